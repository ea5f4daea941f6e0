"""The door through which gunicorn calls Django."""

import contextlib
import ctypes
import os

from django.core.wsgi import get_wsgi_application

M_MMAP_THRESHOLD = -3  # of glibc's mallopt
with contextlib.suppress(OSError, AttributeError):
    # Blocks above 1 MiB go back to the system when freed. Left alone, glibc keeps them in the heap of each thread
    # after the first: files of 10 MB then made a server of eight threads grow by 116 MB, and stay so.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
application = get_wsgi_application()
