"""The directory of a zip, judged before anything is unpacked. Standard library only."""

import io
import struct
import zipfile

from .findings import Refused, refused
from .limits import MAX_ENTRIES, MAX_RATIO, MAX_SHEET, MAX_UNPACKED

END = b"PK\x05\x06"
ENCRYPTED = 0x1
DIRECTORY_MAX = MAX_ENTRIES * 600  # bytes: 46 and a name for each entry
SMALL = 1000  # bytes below which a ratio says nothing
NESTED = (".zip", ".7z", ".rar", ".gz", ".bz2", ".xz", ".tar", ".jar", ".xlsx", ".xlsm", ".xls", ".docx")
MACROS = ("vbaproject", "vbadata", "macrosheets/", "activex/", "ctrlprops/", "customui/")
LINKS = ("externallinks/", "connections.xml", "querytables/", "xl/embeddings/")
OTHERS = {"content.xml": "an OpenDocument file", "word/document.xml": "a Word file", "ppt/presentation.xml": "slides"}

AGAIN = "Open it in the spreadsheet program, save it again as XLSX, or send CSV."
COPY = "Copy the rows into a fresh template and send that."


def opened(content: bytes) -> zipfile.ZipFile:
    """Return the archive, or raise Refused with the reason why its directory is not to be trusted."""
    _require_small_directory(content)
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error):
        raise _damaged() from None
    entries = archive.infolist()
    names = [entry.filename.lower().replace("\\", "/") for entry in entries]
    if len(entries) > MAX_ENTRIES:
        raise _swollen()
    if any(entry.flag_bits & ENCRYPTED for entry in entries):
        raise refused("file-encrypted", "Parts of the file are locked with a password.", "Take the password off.")
    if len(set(names)) < len(names) or any(".." in name.split("/") or name.startswith("/") for name in names):
        raise _damaged()
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED or any(
        entry.file_size > min(MAX_SHEET, MAX_RATIO * max(entry.compress_size, SMALL)) for entry in entries
    ):
        raise _swollen()
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise _damaged()
    if any(part in name for name in names for part in MACROS):
        raise refused("file-macros", "The file holds macros or buttons.", "Save it as a plain XLSX workbook.")
    if any(part in name for name in names for part in LINKS):
        mend = "Cut the links (Data → Edit links), or copy the rows into a fresh template."
        raise refused("file-links", "The file holds links to other files or data.", mend)
    for part, what in OTHERS.items():
        if part in names:
            raise refused("file-type", f"This is {what}.", "Save it as XLSX or as CSV.")
    if any(name.endswith(NESTED) for name in names):
        raise refused("file-nested", "The file holds another packed file.", "Send one workbook, not packed.")
    if "[content_types].xml" not in names or not any(name.startswith("xl/") for name in names):
        raise refused(
            "file-type", "This is a packed file, not a workbook.", "Unpack it and send the XLSX or CSV inside."
        )
    return archive


def _require_small_directory(content: bytes) -> None:
    """Look at the end record alone: `zipfile` would build an object for each of a million entries."""
    place = content.rfind(END, max(0, len(content) - 66_000))
    if place < 0 or len(content) < place + 22:
        raise _damaged()
    entries, size = struct.unpack_from("<HI", content, place + 10)
    if entries > MAX_ENTRIES or size > DIRECTORY_MAX:
        raise _swollen()


def _damaged() -> Refused:
    return refused("file-damaged", "The file is damaged and cannot be opened.", AGAIN)


def _swollen() -> Refused:
    return refused("file-swollen", "The file unpacks to far more than a return needs.", COPY)
