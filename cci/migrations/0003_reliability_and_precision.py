

from django.db import migrations, models

from core.audit.immutable import rewrite_allowed

PUBLIC = "('published', 'superseded')"
OF_PUBLIC = f"EXISTS (SELECT 1 FROM cci_edition e WHERE e.id = OLD.edition_id AND e.state IN {PUBLIC})"


class Migration(migrations.Migration):

    dependencies = [
        ('cci', '0002_keep_published_editions'),
    ]

    operations = [
        migrations.AddField(
            model_name='score',
            name='se',
            field=models.FloatField(help_text='Standard error of the score over resampled firms.', null=True),
        ),
        *rewrite_allowed(
            [
                migrations.AddField(
            model_name='standing',
            name='status',
            field=models.CharField(choices=[('eligible', 'eligible'), ('provisional', 'provisional'), ('not', 'not eligible')], default='not', max_length=12),
        ),
            ],
            table='cci_standing',
            when=OF_PUBLIC,
        ),
        migrations.AlterField(
            model_name='score',
            name='rank_high',
            field=models.PositiveSmallIntegerField(help_text='95 % quantile, likewise.', null=True),
        ),
        migrations.AlterField(
            model_name='score',
            name='rank_low',
            field=models.PositiveSmallIntegerField(help_text='5 % quantile of its rank over resampled firms and drawn weights.', null=True),
        ),
        migrations.AlterField(
            model_name='standing',
            name='reason',
            field=models.CharField(blank=True, choices=[('', 'ranked'), ('response', 'too few of its firms answered'), ('copied', 'too many of its figures repeat the year before'), ('few_units', 'fewer than 15 operating firms answered'), ('reliability', 'the data are not reliable enough yet'), ('association', 'the association is not yet organised as the index asks'), ('schedules', 'the cluster, association or region schedule is not accepted'), ('incomplete', 'too little of the index could be computed')], max_length=12),
        ),
    ]
