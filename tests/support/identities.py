"""Accounts that several tests start sessions for."""

from savu_spawner.identity import Group, Identity

ADA = Identity(
    name="ada",
    display_name="Ada Lovelace",
    uid=37001,
    group=Group("ada", 37001),
    groups=(Group("cm10001_1", 41001), Group("i12_staff", 41002)),
)
