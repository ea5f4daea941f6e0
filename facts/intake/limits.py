"""How much a file may be (design: security, section 7)."""

MAX_BYTES = 10_000_000
MAX_ENTRIES = 200
MAX_UNPACKED = 60_000_000
MAX_RATIO = 100
MAX_SHEET = 40_000_000  # bytes of XML in one part: some 15,000 units with every question answered
MAX_ROWS = 20_000
MAX_COLUMNS = 200
MAX_CELL = 4_000  # characters; the longest answer has 2,000
MAX_FINDINGS = 200  # faults of a file that are named one by one

MEMORY = 512_000_000  # bytes of address space of the child
CPU_SECONDS = 30
WAIT_SECONDS = 60  # for the child's next word, all waits together
