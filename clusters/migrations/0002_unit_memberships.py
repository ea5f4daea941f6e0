

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clusters', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='membership',
            name='unit',
            field=models.ForeignKey(blank=True, help_text='Of a personal link only.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clusters.unit'),
        ),
        migrations.AlterField(
            model_name='membership',
            name='role',
            field=models.CharField(choices=[('viewer', 'viewer'), ('entry', 'entry'), ('head', 'head'), ('staff', 'staff'), ('supervisor', 'supervisor'), ('analyst', 'analyst'), ('auditor', 'auditor'), ('client', 'client'), ('admin', 'admin'), ('link', 'link')], max_length=12),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('organisation__isnull', True), ('role', 'link'), ('unit__isnull', False)), models.Q(models.Q(('role', 'link'), _negated=True), ('unit__isnull', True)), _connector='OR'), name='clusters_link_of_a_unit', violation_error_message='A personal link is for one unit; no other role is.'),
        ),
    ]
