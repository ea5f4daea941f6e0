from django.urls import path

from .views import papers  # isort: skip
from .views import benchmarks, queries, reopening, reviewing  # isort: skip
from .views import break_glass, openings  # isort: skip
from .views import checks, collecting, links, rounds, standing  # isort: skip
from .views import autosave, files, grid, public, returns, review, section, submit

app_name = "facts"
urlpatterns = [
    # public
    path("facts/", public.InstrumentPage.as_view(), name="instrument"),
    path("facts/rounds/", collecting.RoundCalendar.as_view(), name="calendar"),
    path("facts/rounds/<int:year>/collectors/", collecting.CollectorMap.as_view(), name="collectors"),
    path("facts/forms/<int:year>/<slug:schedule>.<slug:ending>", papers.BlankForm.as_view(), name="form"),
    path("r/<str:token>/", links.LinkPage.as_view(), name="link"),
    path("indicators/", public.IndicatorList.as_view(), name="indicators"),
    path("indicators/<str:code>/", public.IndicatorPage.as_view(), name="indicator"),
    # workspace: returns
    path("workspace/returns/", returns.ReturnList.as_view(), name="returns"),
    path("workspace/returns/start/", returns.ReturnStart.as_view(), name="start"),
    path("workspace/returns/import/", files.ImportPage.as_view(), name="import"),
    path("workspace/returns/import/<int:pk>/", files.UploadPage.as_view(), name="upload"),
    path("workspace/returns/import/<int:pk>/progress/", files.UploadProgress.as_view(), name="upload-progress"),
    path("workspace/returns/import/<int:pk>/to-mend.csv", files.UploadErrors.as_view(), name="upload-errors"),
    path("workspace/returns/field/", papers.FieldPage.as_view(), name="field"),
    path("workspace/returns/field/form.xlsx", papers.FieldForm.as_view(), name="field-form"),
    path("workspace/returns/<int:pk>/paper.pdf", papers.ReturnPaper.as_view(), name="paper"),
    path("workspace/returns/<int:pk>/receipt.pdf", papers.ReceiptPaper.as_view(), name="receipt"),
    path("workspace/returns/<int:pk>/answers.pdf", papers.ReceiptWithAnswers.as_view(), name="receipt-answers"),
    path("workspace/returns/<int:pk>/benchmark.pdf", papers.SheetPaper.as_view(), name="benchmark-paper"),
    path("workspace/returns/template/", files.TemplateFile.as_view(), name="template"),
    path("workspace/returns/openings/", openings.Openings.as_view(), name="openings"),
    path("workspace/returns/openings.csv", openings.OpeningsFile.as_view(), name="openings-file"),
    path("workspace/returns/<int:pk>/everything.json", openings.Everything.as_view(), name="everything"),
    path("workspace/returns/<int:pk>/", returns.ReturnHub.as_view(), name="return"),
    path("workspace/returns/grid/", grid.UnitGrid.as_view(), name="grid"),
    path("workspace/returns/certify/", submit.CertifySeveral.as_view(), name="certify"),
    path("workspace/returns/<int:pk>/answers/", autosave.Autosave.as_view(), name="answers"),
    path("workspace/returns/<int:pk>/check/", submit.ReturnCheck.as_view(), name="check"),
    path("workspace/returns/<int:pk>/submit/", submit.ReturnSubmit.as_view(), name="submit"),
    path("workspace/returns/<int:pk>/share/", links.Share.as_view(), name="share"),
    path("workspace/returns/<int:pk>/benchmark/", benchmarks.BenchmarkSheet.as_view(), name="benchmark"),
    path("workspace/returns/<int:pk>/<str:section>/", section.ReturnSection.as_view(), name="section"),
    # workspace: rounds
    path("workspace/rounds/", rounds.RoundList.as_view(), name="rounds"),
    path("workspace/rounds/<int:year>/", rounds.RoundBoard.as_view(), name="round"),
    path("workspace/rounds/<int:year>/steps/", rounds.RoundSteps.as_view(), name="round-steps"),
    path("workspace/rounds/<int:year>/late/", rounds.LateList.as_view(), name="round-late"),
    path("workspace/rounds/<int:year>/more-time/<str:code>/", rounds.MoreTime.as_view(), name="round-more-time"),
    path("workspace/rounds/<int:year>/collectors/<str:code>/", collecting.Appoint.as_view(), name="round-appoint"),
    path("workspace/rounds/<int:year>/checks/", checks.RoundChecks.as_view(), name="round-checks"),
    path("workspace/rounds/<int:year>/checks/run/", checks.RunChecks.as_view(), name="round-check"),
    path("workspace/rounds/<int:year>/links/", links.LinkList.as_view(), name="round-links"),
    path("workspace/rounds/<int:year>/links/replace/", links.LinkReplace.as_view(), name="round-link"),
    # workspace: break-glass
    path("workspace/break-glass/", break_glass.BreakGlassList.as_view(), name="break-glasses"),
    path("workspace/break-glass/<int:pk>/", break_glass.BreakGlassPage.as_view(), name="break-glass"),
    path("workspace/break-glass/<int:pk>/values.csv", break_glass.ValuesFile.as_view(), name="break-glass-file"),
    path("workspace/break-glass/<int:pk>/<int:ret>/", break_glass.ReturnInTheHour.as_view(), name="break-glass-return"),
    # workspace: standing
    path("workspace/standing/", standing.StandingList.as_view(), name="standings"),
    path("workspace/standing/<str:code>/", standing.StandingPage.as_view(), name="standing"),
    path("workspace/standing/<str:code>/returns/", standing.StandingReturns.as_view(), name="standing-returns"),
    # workspace: review
    path("workspace/review/", review.ReviewQueue.as_view(), name="review"),
    path("workspace/review/several/", review.ReviewSeveral.as_view(), name="review-several"),
    path("workspace/review/reopenings/", reopening.ReopeningList.as_view(), name="reopenings"),
    path("workspace/review/<int:pk>/", reviewing.ReviewReturn.as_view(), name="review-return"),
    path("workspace/review/<int:pk>/open-again/", reopening.ReopenPage.as_view(), name="reopen"),
    path("workspace/queries/", queries.QueryList.as_view(), name="queries"),
    path("workspace/queries/<int:pk>/", queries.QueryThread.as_view(), name="query"),
]
