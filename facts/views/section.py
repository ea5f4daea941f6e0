"""One block of a return a page: read, fill in, save; what clashes or can no longer be saved is shown, never lost."""

from django.contrib import messages
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.views.generic import TemplateView

from core import policy
from core.accounts.idle import seconds_left
from core.base import DomainError
from facts.forms import SectionForm, in_words, rescaled
from facts.models import Return
from facts.services import reading
from facts.services.collectors import is_link_holder
from facts.services.drafts import Clash, save_fields
from facts.services.findings import schedule_of

from .parts import OneReturn, channel_of, place_label
from .queries import notes_on_fields


class ReturnSection(OneReturn, TemplateView):
    """One block of a return. Saving keeps what can be kept and says what cannot."""

    action = "return.read_draft"
    post_action = "return.write"
    template_name = "facts/return_section.html"

    def get_section(self, ret):
        found = next((one for one in schedule_of(ret).sections if one.code == self.kwargs["section"]), None)
        if found is None:
            raise Http404
        return found

    def in_scope(self, queryset):
        """Also what a unit handed in by itself and lets its association read; to look at, never to write."""
        found = super().in_scope(queryset)
        if self.request.method == "POST":
            return found
        shared = policy.scope(self.request.user, "return.read_shared", queryset)
        return found | shared.exclude(state__in=Return.EDITABLE)

    def get(self, request, *args, **kwargs):
        ret = self.get_return()
        section = self.get_section(ret)
        if ret.is_editable:
            payload = reading.draft_of(ret)
        elif policy.allowed(request.user, "return.read_submitted", ret):
            payload = reading.open_for(ret, by=request.user, purpose="own reading")
        else:
            raise Http404
        form = SectionForm(reading.judged(ret, payload, by=self.request.user), section)
        fields = form.fields(mark_missing="check" in request.GET, with_hidden=ret.is_editable)
        if not ret.is_editable:  # once handed in, an opinion of the neighbours is nobody's to read
            fields = [one for one in fields if one.question.shown_at_unit_level]
        return self.show(ret, form, fields)

    def show(self, ret, form, fields, *, refused=(), status=200):
        sections = form.opened.sections
        at = next(place for place, part in enumerate(sections) if part.section is form.section)
        may_edit = self.may_write(ret)
        if not may_edit:
            fields = [one for one in fields if one.asked]
        errors = [{"id": one.id, "message": one.error} for one in fields if one.error and one.asked]
        notes = notes_on_fields(ret, self.request.user)
        for one in fields:
            one.note = notes.get(one.name)
        return self.render_to_response(
            self.get_context_data(
                ret=ret,
                label=place_label(ret),
                section=form.section,
                sections=sections,
                here=sections[at],
                place=at + 1,
                following=self.following(form),
                more_may_follow=any(part.undecided for part in sections[at + 1 :]),
                fields=fields,
                is_asked=any(one.asked for one in fields),
                codes=" ".join(form.codes),
                errors=errors if may_edit else [],
                may_edit=may_edit,
                refused=refused,
                seconds_left=seconds_left(self.request),
            ),
            status=status,
        )

    def following(self, form: SectionForm):
        """The next block in which something is asked."""
        sections = form.opened.sections
        at = next(place for place, part in enumerate(sections) if part.section is form.section)
        return next((part for part in sections[at + 1 :] if part.asked), None)

    def post(self, request, *args, **kwargs):
        ret = self.get_return()
        form = SectionForm(reading.judged(ret, reading.draft_of(ret), by=self.request.user), self.get_section(ret))
        sent = form.read(request.POST)
        is_changed = bool(sent.raw or sent.explanations)
        try:
            if is_changed:
                saved = save_fields(
                    ret,
                    sent.raw,
                    sent.was,
                    by=request.user,
                    scale=sent.scale,
                    explanations=sent.explanations,
                    confirmed=sent.confirmed,
                    channel=channel_of(request.user),
                )
                sent.refused += saved.refused
                form = SectionForm(saved.opened, form.section)
        except Clash as clash:
            return self.show_clash(clash, form, sent)
        except DomainError as refusal:
            return self.show_unsaved(ret, form, sent, str(refusal))
        if sent.refused:
            kept = len(sent.raw) + len(sent.explanations) - sum(one.question in sent.raw for one in sent.refused)
            if kept:
                messages.success(
                    request, f"{kept} answer{'s' if kept != 1 else ''} saved; the others are marked below."
                )
            fields = form.fields(refused=sent.refused, post=request.POST, with_hidden=True)
            return self.show(ret, form, fields, refused=sent.refused)
        return HttpResponseRedirect(self.next_address(ret, form))

    def next_address(self, ret, form) -> str:
        """Where to go after a save: on, unless it opened more questions here. What is left to mend is said there."""
        here = reverse("facts:section", args=[ret.pk, form.section.code])
        if same := self.request.POST.get("same"):
            return f"{here}#id_{same}" if same in form.questions else here
        if "go_on" not in self.request.POST:
            return here
        fresh = set(form.codes) - set(self.request.POST.get("codes", "").split())
        if fresh:
            count = len(fresh)
            messages.info(self.request, f"Your answers open {count} more question{'s' if count != 1 else ''} here.")
            return here
        self.say_left(form, here)
        following = self.following(form)
        return reverse("facts:section", args=[ret.pk, following.section.code]) if following else ret.get_absolute_url()

    def say_left(self, form: SectionForm, here: str) -> None:
        """Say on the next page what was left behind that does not pass; answers that are merely missing wait."""
        left = form.speaking
        if not left:
            return
        hard = {problem.question for problem in left if problem.is_hard}
        soft = {problem.question for problem in left} - hard
        counts = [f"{len(codes)} {what}" for codes, what in ((hard, "to mend"), (soft, "to explain")) if codes]
        words = f"{' and '.join(counts)} in {form.section.title}"
        count = len(hard) or len(soft)
        words = words.replace(" to ", f" answer{'s' if count != 1 else ''} to ", 1)
        link = format_html('<a href="{}#id_{}">{}</a>.', here, left[0].question, words)
        messages.warning(self.request, link)

    def show_unsaved(self, ret, form, sent, why: str):
        """The return takes no answers any more: what was typed is shown once, to be copied."""
        rows = [
            {"question": form.questions[code], "words": in_words(form.questions[code], text)}
            for code, text in sent.raw.items()
        ]
        context = {"ret": ret, "label": place_label(ret), "section": form.section, "rows": rows, "why": why}
        context |= {"explanations": sent.explanations, "by_link": is_link_holder(self.request.user)}
        return render(self.request, "facts/return_unsaved.html", context, status=409)

    def show_clash(self, clash: Clash, form: SectionForm, sent):
        """Both values of each answer that two people changed, to choose from; the other changes wait beside them."""
        ret = clash.ret
        rows = []
        for name, (mine, theirs) in clash.fields.items():
            question = form.questions.get(name)
            rows.append(
                {
                    "name": name if question else f"explain:{name}",
                    "label": question.label if question else "Explanation",
                    "code": name,
                    "mine": mine,
                    "mine_words": in_words(question, mine) if question else mine,
                    "theirs": theirs,
                    "theirs_words": in_words(question, theirs) if question else theirs or "no explanation",
                }
            )
        mine = []
        for code, text in sent.raw.items():
            if code not in clash.fields:
                question, was = form.questions[code], sent.was.get(code, "")
                texts = [rescaled(question, one, sent.scale, ret.scale) for one in (text, was)]
                mine.append({"code": code, "text": texts[0], "was": texts[1]})
        said = [
            {"rule": rule, "text": text, "was": sent.was.get(rule, "")}
            for rule, text in sent.explanations.items()
            if rule not in clash.fields
        ]
        return render(
            self.request,
            "facts/return_conflict.html",
            {
                "ret": ret,
                "label": place_label(ret),
                "section": form.section,
                "rows": rows,
                "mine": mine,
                "said": said,
                "codes": " ".join(sent.raw),
                "writer": reading.last_writer(ret, clash.fields),
                "by_link": is_link_holder(self.request.user),
            },
            status=409,
        )
