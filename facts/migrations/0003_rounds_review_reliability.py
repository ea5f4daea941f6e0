

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clusters', '0002_unit_memberships'),
        ('facts', '0002_keep_snapshots'),
        ('jobs', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='CheckRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rules_digest', models.CharField(max_length=64)),
                ('counts', models.JSONField(default=dict)),
                ('finished_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Collector',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(blank=True, max_length=300)),
                ('appointed_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['round', 'cluster'],
            },
        ),
        migrations.CreateModel(
            name='Extension',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('until', models.DateField()),
                ('reason', models.CharField(max_length=300)),
                ('granted_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['-until', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('route', models.CharField(max_length=60)),
                ('key', models.CharField(max_length=80)),
                ('request_digest', models.CharField(max_length=64)),
                ('status', models.PositiveSmallIntegerField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('invited', 'invited'), ('reminded', 'reminded'), ('late', 'told that it is late')], max_length=10)),
                ('on', models.DateField(help_text='The day it was due; a second run of that day sends nothing.')),
                ('sent_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-on', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='Query',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveSmallIntegerField()),
                ('question', models.CharField(max_length=8)),
                ('state', models.CharField(choices=[('open', 'waits for an answer'), ('answered', 'answered'), ('closed', 'closed')], default='open', max_length=8)),
                ('due_on', models.DateField()),
                ('raised_at', models.DateTimeField(auto_now_add=True)),
                ('closed_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['due_on', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='Reliability',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('score', models.FloatField(help_text='Data reliability score, 0–100, after caps.')),
                ('grade', models.CharField(max_length=1)),
                ('status', models.CharField(choices=[('eligible', 'eligible'), ('provisional', 'provisional'), ('not', 'not eligible')], max_length=12)),
                ('parts', models.JSONField(default=list, help_text='D1–D8: points, factor, and the shares behind them.')),
                ('stops', models.JSONField(default=list, help_text='Hard stops and caps that hold.')),
                ('gates', models.JSONField(default=list, help_text='OG1–OG8 of the association that passes most.')),
                ('steps', models.JSONField(default=list, help_text='The shortest way to become ranked, in order.')),
            ],
            options={
                'ordering': ['snapshot', 'cluster'],
            },
        ),
        migrations.CreateModel(
            name='Reopening',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveSmallIntegerField()),
                ('state', models.CharField(choices=[('asked', 'waits for a second person'), ('granted', 'granted'), ('declined', 'declined')], default='asked', max_length=8)),
                ('asked_at', models.DateTimeField(auto_now_add=True)),
                ('decided_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='RoundFlag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rule', models.CharField(max_length=16)),
                ('severity', models.CharField(choices=[('soft', 'in the form'), ('info', 'information'), ('warn', 'warning'), ('critical', 'critical')], max_length=8)),
                ('numbers', models.JSONField(default=dict)),
                ('resolution', models.CharField(choices=[('open', 'open'), ('explained', 'explained by the respondent'), ('accepted', 'explanation accepted'), ('rejected', 'explanation rejected')], default='open', max_length=10)),
                ('note', models.CharField(blank=True, max_length=600)),
                ('resolved_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['round', 'cluster', 'rule'],
            },
        ),
        migrations.CreateModel(
            name='UnitLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token_digest', models.CharField(max_length=64, unique=True)),
                ('made_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(null=True)),
                ('revoked_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Upload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120)),
                ('size', models.PositiveIntegerField()),
                ('digest', models.CharField(help_text='Keyed digest of the bytes.', max_length=64)),
                ('scale', models.PositiveIntegerField(default=1)),
                ('schedule', models.CharField(blank=True, choices=[('UNIT', 'Unit'), ('CLUSTER', 'Cluster'), ('ASSOCIATION', 'Association'), ('REGION', 'Region')], max_length=12)),
                ('state', models.CharField(choices=[('quarantined', 'being read'), ('refused', 'refused'), ('ready', 'read; waits for confirmation'), ('imported', 'imported'), ('expired', 'no longer at hand')], default='quarantined', max_length=12)),
                ('counts', models.JSONField(default=dict, help_text='Rows, drafts made and changed; never a value.')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('finished_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.AddField(
            model_name='flag',
            name='resolved_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='flag',
            name='resolved_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='flag',
            name='score',
            field=models.FloatField(help_text="How far beyond the rule's limit, 1 = at it.", null=True),
        ),
        migrations.AddField(
            model_name='frameentry',
            name='design_weight',
            field=models.FloatField(default=1.0, help_text='Units that this one stands for by design: N/n of its class.'),
        ),
        migrations.AddField(
            model_name='frameentry',
            name='drawn',
            field=models.BooleanField(default=True, help_text='In the sample; in a census everybody is.'),
        ),
        migrations.AddField(
            model_name='frameentry',
            name='member',
            field=models.BooleanField(default=False, help_text="On the association's list when the frame was frozen."),
        ),
        migrations.AddField(
            model_name='indicatorvalue',
            name='se',
            field=models.FloatField(help_text='Standard error over resampled firms. Not for publication.', null=True),
        ),
        migrations.AddField(
            model_name='return',
            name='checked_version',
            field=models.PositiveSmallIntegerField(default=0, help_text="Last version that the round's checks saw."),
        ),
        migrations.AddField(
            model_name='return',
            name='effect',
            field=models.FloatField(default=0, help_text='Places in the ranking that it may move, expected.'),
        ),
        migrations.AddField(
            model_name='return',
            name='minutes',
            field=models.PositiveSmallIntegerField(help_text='Minutes of work between saves up to the last submission; pauses are left out.', null=True),
        ),
        migrations.AddField(
            model_name='return',
            name='submitted_revision',
            field=models.PositiveIntegerField(help_text="The draft's revision that was handed in: the same again finds the same receipt.", null=True),
        ),
        migrations.AddField(
            model_name='return',
            name='suspicion',
            field=models.FloatField(default=0, help_text='How loudly the checks spoke of the version handed in, 0 and up.'),
        ),
        migrations.AddField(
            model_name='round',
            name='editing_until',
            field=models.DateField(blank=True, help_text='Editing, call-backs, back-checks.', null=True),
        ),
        migrations.AddField(
            model_name='round',
            name='frame_frozen_on',
            field=models.DateField(blank=True, help_text='Frame frozen, sample drawn.', null=True),
        ),
        migrations.AddField(
            model_name='round',
            name='locks_on',
            field=models.DateField(blank=True, help_text='Returns locked, weights and scores made.', null=True),
        ),
        migrations.AddField(
            model_name='round',
            name='panel_on',
            field=models.DateField(blank=True, help_text='Index panel, disclosure check.', null=True),
        ),
        migrations.AlterField(
            model_name='flag',
            name='severity',
            field=models.CharField(choices=[('soft', 'in the form'), ('info', 'information'), ('warn', 'warning'), ('critical', 'critical')], default='soft', max_length=8),
        ),
        migrations.AlterField(
            model_name='return',
            name='channel',
            field=models.CharField(choices=[('web', 'Form'), ('file', 'File'), ('api', 'API'), ('help_desk', 'Association help desk'), ('link', 'Personal link'), ('field', 'Collected in the field')], default='web', max_length=10),
        ),
        migrations.AlterField(
            model_name='return',
            name='state',
            field=models.CharField(choices=[('draft', 'Draft'), ('submitted', 'Submitted'), ('in_review', 'In review'), ('sent_back', 'Sent back'), ('accepted', 'Accepted'), ('reopened', 'Reopened'), ('locked', 'Locked')], default='draft', max_length=10),
        ),
        migrations.AddIndex(
            model_name='return',
            index=models.Index(fields=['cluster', 'round', 'schedule'], name='facts_return_cluster_round'),
        ),
        migrations.AddField(
            model_name='checkrun',
            name='cluster',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clusters.cluster'),
        ),
        migrations.AddField(
            model_name='checkrun',
            name='job',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='jobs.job'),
        ),
        migrations.AddField(
            model_name='checkrun',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='check_runs', to='facts.round'),
        ),
        migrations.AddField(
            model_name='collector',
            name='appointed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='collector',
            name='cluster',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clusters.cluster'),
        ),
        migrations.AddField(
            model_name='collector',
            name='organisation',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clusters.organisation'),
        ),
        migrations.AddField(
            model_name='collector',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='collectors', to='facts.round'),
        ),
        migrations.AddField(
            model_name='extension',
            name='cluster',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clusters.cluster'),
        ),
        migrations.AddField(
            model_name='extension',
            name='granted_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='extension',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='extensions', to='facts.round'),
        ),
        migrations.AddField(
            model_name='idempotencykey',
            name='client',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='invitation',
            name='cluster',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clusters.cluster'),
        ),
        migrations.AddField(
            model_name='invitation',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='invitations', to='facts.round'),
        ),
        migrations.AddField(
            model_name='invitation',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='query',
            name='raised_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='query',
            name='ret',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='queries', to='facts.return'),
        ),
        migrations.AddField(
            model_name='reliability',
            name='cluster',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clusters.cluster'),
        ),
        migrations.AddField(
            model_name='reliability',
            name='snapshot',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='reliability', to='facts.snapshot'),
        ),
        migrations.AddField(
            model_name='reopening',
            name='asked_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reopening',
            name='decided_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reopening',
            name='ret',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reopenings', to='facts.return'),
        ),
        migrations.AddField(
            model_name='roundflag',
            name='cluster',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clusters.cluster'),
        ),
        migrations.AddField(
            model_name='roundflag',
            name='resolved_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='roundflag',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flags', to='facts.round'),
        ),
        migrations.AddField(
            model_name='roundflag',
            name='worker',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='unitlink',
            name='made_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='unitlink',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='links', to='facts.round'),
        ),
        migrations.AddField(
            model_name='unitlink',
            name='unit',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clusters.unit'),
        ),
        migrations.AddField(
            model_name='unitlink',
            name='user',
            field=models.ForeignKey(help_text='Stands for whoever holds the link: without password, with the rights of this one return.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='upload',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='upload',
            name='job',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='jobs.job'),
        ),
        migrations.AddField(
            model_name='upload',
            name='organisation',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clusters.organisation'),
        ),
        migrations.AddField(
            model_name='upload',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uploads', to='facts.round'),
        ),
        migrations.AddConstraint(
            model_name='collector',
            constraint=models.UniqueConstraint(fields=('round', 'cluster'), name='facts_collector_once'),
        ),
        migrations.AddConstraint(
            model_name='extension',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='facts_extension_has_reason', violation_error_message='Say why more time is given.'),
        ),
        migrations.AddConstraint(
            model_name='idempotencykey',
            constraint=models.UniqueConstraint(fields=('client', 'route', 'key'), name='facts_idempotency_key_once'),
        ),
        migrations.AddConstraint(
            model_name='invitation',
            constraint=models.UniqueConstraint(fields=('round', 'cluster', 'user', 'kind', 'on'), name='facts_invitation_once'),
        ),
        migrations.AddConstraint(
            model_name='reliability',
            constraint=models.UniqueConstraint(fields=('snapshot', 'cluster'), name='facts_reliability_once'),
        ),
        migrations.AddConstraint(
            model_name='reopening',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'asked')), fields=('ret',), name='facts_one_open_reopening'),
        ),
        migrations.AddConstraint(
            model_name='reopening',
            constraint=models.CheckConstraint(condition=models.Q(('decided_by__isnull', True), models.Q(('decided_by', models.F('asked_by')), _negated=True), _connector='OR'), name='facts_reopening_two_people', violation_error_message='Who asks to reopen a return does not decide on it.'),
        ),
        migrations.AddConstraint(
            model_name='roundflag',
            constraint=models.UniqueConstraint(condition=models.Q(('cluster__isnull', False)), fields=('round', 'cluster', 'rule'), name='facts_round_flag_once'),
        ),
        migrations.AddConstraint(
            model_name='roundflag',
            constraint=models.UniqueConstraint(condition=models.Q(('worker__isnull', False)), fields=('round', 'worker', 'rule'), name='facts_worker_flag_once'),
        ),
        migrations.AddConstraint(
            model_name='unitlink',
            constraint=models.UniqueConstraint(condition=models.Q(('revoked_at__isnull', True)), fields=('round', 'unit'), name='facts_one_link_a_unit'),
        ),
        migrations.AddConstraint(
            model_name='upload',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['quarantined', 'ready'])), fields=('round', 'by', 'digest'), name='facts_upload_open_once'),
        ),
    ]
