"""How much of an untrusted text file is held or believed at once; limits of single values belong to the contracts."""

CHUNK_BYTES = 4 * 1024 * 1024
FRAME_ROWS = 65_536
FRAME_VALUES = 10 * FRAME_ROWS
RECORD_BYTES = 8 * 1024 * 1024
COLUMN_LIMIT = 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
