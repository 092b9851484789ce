"""The texts of the browser login pages, by purpose.

A text is plain: the template escapes both the text and the values inserted into it. A field in
braces stands for a value of the page. A new language is one more file with one more `Texts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """All texts in one language."""

    # The language itself: its tag (RFC 5646), how it calls itself, how it quotes and writes days.
    code: str
    language: str
    quoted: str
    months: tuple[str, ...]
    day: str
    moment: str

    # On every page.
    product: str
    error_title: str
    all_connections: str

    # Login with consent.
    connect_title: str
    connect_heading: str
    asks: str
    unnamed: str
    name_unchecked: str
    described_at: str
    goes_heading: str
    goes_to_site: str
    goes_to_program: str
    program: str
    program_warning: str
    goes_to_app: str
    app_links: str
    app_warning: str
    may_heading: str
    may_read: str
    may_control: str
    may_control_hint: str
    control_asked: str
    account_heading: str
    email: str
    password: str
    password_use: str
    connect: str
    cancel: str

    # Why nobody was let in; shown above the form, which is there again.
    bad_email: str
    no_password: str
    rejected: str
    rejected_or_not_served: str
    locked: str
    too_many: str
    busy: str
    portal_trouble: str
    server_trouble: str
    seconds: str
    minutes: str
    hours: str

    # The end of a login.
    allowed_heading: str
    allowed: str
    allowed_control: str
    cancelled_heading: str
    cancelled: str
    returning: str
    returning_program: str
    leads_to: str
    leads_to_warning: str
    go_on: str
    close_page: str

    # What cannot be connected.
    failed_heading: str
    again_in_app: str
    unknown_client: str
    unknown_client_cure: str
    not_now: str
    not_now_cure: str
    wrong_redirect: str
    wrong_redirect_cure: str
    mistaken: str
    for_makers: str
    foreign_form: str
    refused_heading: str
    begin_again: str
    damaged_form: str
    expired_form: str
    no_records: str
    no_records_cure: str

    # Connections.
    connections_title: str
    connections_login: str
    show: str
    connections_use: str
    none_connected: str
    goes_to: str
    rights: str
    reads: str
    controls: str
    since: str
    used: str
    number: str
    asleep: str
    give_control: str
    take_control: str
    end: str
    end_all: str
    end_all_warning: str
    end_all_now: str
    ended_heading: str
    ended_on: str
    # Why, by the word in the record of a grant.
    ended: Mapping[str, str]
    ended_other: str
    now_ended: str
    now_all_ended: str
    now_controls: str
    now_reads: str
    already_ended: str
    action_expired: str
    time_left: str
