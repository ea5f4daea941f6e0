from django.urls import path

from .views import files, public, returns, review

app_name = "facts"
urlpatterns = [
    # public
    path("facts/", public.InstrumentPage.as_view(), name="instrument"),
    path("indicators/", public.IndicatorList.as_view(), name="indicators"),
    path("indicators/<str:code>/", public.IndicatorPage.as_view(), name="indicator"),
    # workspace: returns
    path("workspace/returns/", returns.ReturnList.as_view(), name="returns"),
    path("workspace/returns/start/", returns.ReturnStart.as_view(), name="start"),
    path("workspace/returns/import/", files.ImportPage.as_view(), name="import"),
    path("workspace/returns/template/", files.TemplateFile.as_view(), name="template"),
    path("workspace/returns/<int:pk>/", returns.ReturnHub.as_view(), name="return"),
    path("workspace/returns/<int:pk>/submit/", returns.ReturnSubmit.as_view(), name="submit"),
    path("workspace/returns/<int:pk>/<str:section>/", returns.ReturnSection.as_view(), name="section"),
    # workspace: review
    path("workspace/review/", review.ReviewQueue.as_view(), name="review"),
    path("workspace/review/<int:pk>/", review.ReviewReturn.as_view(), name="review-return"),
]
