"""Names of time zones: warehouses hold IANA names, the API wants Windows names.

The translation is CLDR's windowsZones table, which tzlocal carries. A Windows name is kept.
"""

from __future__ import annotations

import pyarrow as pa
from tzlocal import windows_tz

#: The vendor's shop plugins send these two, which are not Windows names.
_ALSO_SENT = ("UTC", "GMT")

#: IANA's names that CLDR's table or an older tzlocal lacks, and zones that they are equal to, from the tz database.
_LINKS = {
    "America/Coyhaique": "America/Punta_Arenas",
    "CET": "Europe/Brussels",
    "CST6CDT": "America/Chicago",
    "EET": "Europe/Athens",
    "EST": "America/Panama",
    "EST5EDT": "America/New_York",
    "Europe/Uzhgorod": "Europe/Kyiv",
    "Europe/Zaporozhye": "Europe/Kyiv",
    "HST": "Pacific/Honolulu",
    "MET": "Europe/Brussels",
    "MST": "America/Phoenix",
    "MST7MDT": "America/Denver",
    "PST8PDT": "America/Los_Angeles",
    "US/East-Indiana": "America/Indiana/Indianapolis",
    "WET": "Europe/Lisbon",
}


#: Columns of `zone_table`.
ZONE_COLUMNS = ("name", "windows")


def zone_table() -> pa.Table:
    """Return the columns `name` (lower case) and `windows` of every zone name that can be sent."""
    names = _names()
    return pa.table([list(names), list(names.values())], names=ZONE_COLUMNS)


def is_zone(name: str) -> bool:
    """Whether `name` is one of a zone that can be sent, in any case."""
    return name.lower() in _names()


def _names() -> dict[str, str]:
    # tzlocal's table has an empty name, which is not a zone
    ianas = {iana: windows for iana, windows in windows_tz.tz_win.items() if iana}
    names = {link.lower(): ianas[iana] for link, iana in _LINKS.items() if iana in ianas}
    names |= {iana.lower(): windows for iana, windows in ianas.items()}
    names |= {windows.lower(): windows for windows in windows_tz.win_tz}
    return names | {name.lower(): name for name in _ALSO_SENT}
