"""Lists come in pages; what can grow comes with a cursor. The next page also stands in the Link header."""

from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination, PageNumberPagination

from .errors import BadParameters

MAX_PAGE_SIZE = 1000


class _Sized:
    """`?page_size=`, 100 unless told, at most 1,000; nonsense is refused, not overlooked."""

    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE

    def get_page_size(self, request):
        text = request.query_params.get("page_size")
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
            mend = f"Give a whole number from 1 to {MAX_PAGE_SIZE}."
            raise BadParameters([("page_size", "invalid", "The page size is not a number above 0.", mend)])
        return min(int(text[:9]), MAX_PAGE_SIZE)

    def get_paginated_response(self, data):
        response = super().get_paginated_response(data)
        links = [(self.get_next_link(), "next"), (self.get_previous_link(), "prev")]
        header = ", ".join(f'<{link}>; rel="{rel}"' for link, rel in links if link)
        if header:
            response["Link"] = header
        return response


class Pages(_Sized, PageNumberPagination):
    """`?page=` and `?page_size=`; the answer says the count."""

    invalid_page_message = "There is no such page."


class Cursor(_Sized, CursorPagination):
    """For lists that grow while they are read: a stable order by primary key; follow `next`."""

    ordering = "pk"
    invalid_cursor_message = "This is not a cursor of ours. Follow the links next and previous."

    def decode_cursor(self, request):
        cursor = super().decode_cursor(request)
        # The position goes into the query as it is; a forged one must not reach the database.
        if cursor and cursor.position is not None:
            position = cursor.position
            if not (position.isascii() and position.isdigit() and len(position) < 19):
                raise NotFound(self.invalid_cursor_message)
        return cursor
