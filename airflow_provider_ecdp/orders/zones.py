"""Names of time zones: warehouses hold IANA names, the API wants Windows names.

The translation is CLDR's windowsZones table, which tzlocal carries. A Windows name passes as it is.
"""

from __future__ import annotations

import pyarrow as pa
from tzlocal import windows_tz

#: The vendor's shop plugins send these two, which are no Windows names.
_ALSO_SENT = ("UTC", "GMT")


def zone_table() -> pa.Table:
    """Return the columns `name` (lower case) and `windows` of every zone name that can be sent."""
    names = {iana.lower(): windows for iana, windows in windows_tz.tz_win.items()}
    names |= {windows.lower(): windows for windows in windows_tz.win_tz}
    names |= {name.lower(): name for name in _ALSO_SENT}
    return pa.table({"name": list(names), "windows": list(names.values())})
