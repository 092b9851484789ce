"""What the pages of the browser login say in English."""

from __future__ import annotations

from .texts import Texts

REUSED = "a key of it was used twice, so somebody may have copied it"

EN = Texts(
    code="en",
    language="English",
    quoted="\u201c{text}\u201d",
    months=(
        *("January", "February", "March", "April", "May", "June", "July"),
        *("August", "September", "October", "November", "December"),
    ),
    day="{day} {month} {year}",
    moment="{day}, {time}",
    product="Battery Box server",
    error_title="Error: {title}",
    all_connections="Connected apps",
    connect_title="Connect {name}",
    connect_heading="Connect an app to your battery",
    asks="{name} asks for access to your OIG Cloud account.",
    unnamed="An app without a name",
    name_unchecked="The app chose this name itself. Nobody has checked it.",
    described_at="It describes itself at {site}.",
    goes_heading="Who gets access",
    goes_to_site="Access is given to {where}, and you are sent there.",
    goes_to_program="Access is given to {where}.",
    program="a program on this computer",
    program_warning=(
        "Continue only if you have just started connecting a program on this computer. If somebody "
        "sent you a link to this page, cancel."
    ),
    goes_to_app="Access is given to the app that opens {where} on this device.",
    app_links="{scheme} links",
    app_warning=(
        "Continue only if you have just started connecting that app. If somebody sent you a link "
        "to this page, cancel."
    ),
    may_heading="What it may do",
    may_read="Read your data: power, energy, the battery, settings and notifications",
    may_control="It may also change settings of the battery box",
    may_control_hint=(
        "Such as the operating mode, or charging from the grid. You can take this back at any time."
    ),
    control_asked="The app asks for it; the choice is yours.",
    account_heading="Your OIG Cloud account",
    email="E-mail",
    password="Password",
    password_use=(
        "{server} logs in to OIG Cloud with it, and keeps it encrypted while the connection lasts. "
        "The app does not get it."
    ),
    connect="Connect",
    cancel="Cancel",
    bad_email="That is not an e-mail address. Type the one that you log in to OIG Cloud with.",
    no_password="The password is missing, or is too long to be one.",
    rejected="OIG Cloud did not accept this e-mail and password.",
    rejected_or_not_served=(
        "This e-mail and password were not accepted, or the account is not served here. If they "
        "work at OIG Cloud, ask the person who runs this server."
    ),
    locked=(
        "There were too many wrong passwords. Until {wait} from now even the right one is refused "
        "here."
    ),
    too_many="This account is being used too fast. Try again in {wait}.",
    busy="This server has much to do at the moment. Try again in {wait}.",
    portal_trouble=(
        "OIG Cloud cannot be asked at the moment, so nobody knows whether the password is right. "
        "You are not locked out for this. Try again in {wait}."
    ),
    server_trouble=(
        "This server cannot log anybody in at the moment. Your password is not the problem. Try "
        "again in {wait}; if that does not help, tell the person who runs this server."
    ),
    seconds="{count} s",
    minutes="{count} min",
    hours="{count} h",
    allowed_heading="Access allowed",
    allowed="{name} may read your data.",
    allowed_control="{name} may read your data and change settings of the battery box.",
    cancelled_heading="Cancelled",
    cancelled="Nothing was connected.",
    returning="You are being sent back to {where}.",
    returning_program="You are being sent back to the app.",
    leads_to="The link below leads to {where}.",
    leads_to_warning=(
        "Follow it only if you have just started connecting this app; otherwise close this page."
    ),
    go_on="Continue to the app",
    close_page="When the app says that it is connected, you can close this page.",
    failed_heading="This app cannot be connected",
    again_in_app="Go back to the app and start connecting again.",
    unknown_client="This server could not identify the app.",
    unknown_client_cure="Remove this server from the app, add it again, and connect.",
    not_now=(
        "This server has to look up what the app is, and cannot do so at the moment: it is busy, "
        "or the app's web site does not answer."
    ),
    not_now_cure=(
        "Try again in {wait}: load this page again, or start again in the app. If that does not "
        "help, tell the person who runs this server."
    ),
    wrong_redirect=(
        "The app wants access at an address that it did not name before, or that this server "
        "sends nobody to."
    ),
    wrong_redirect_cure=(
        "Remove this server from the app and add it again. If that does not help and you trust the "
        "app, ask the person who runs this server to allow its address."
    ),
    mistaken="{name} asks for access in a way that this server does not allow.",
    for_makers="For those who make the app:",
    refused_heading="The form was not accepted",
    foreign_form=(
        "Your browser did not say that this form comes from a page of this server, so it was not "
        "looked at. If that happens each time, an extension of the browser may be hiding where "
        "forms come from."
    ),
    begin_again="Start again from the app you are connecting, or from the connected apps below.",
    damaged_form="This form is damaged, or was made by another server.",
    expired_form="This page was open for more than a quarter of an hour, which is too long.",
    no_records="This server cannot get at its records of connected apps at the moment.",
    no_records_cure=(
        "Nothing was changed. Try again in a minute; if that does not help, tell the person who "
        "runs this server."
    ),
    connections_title="Connected apps",
    connections_login=(
        "Log in to see which apps may use your OIG Cloud account through this server, and to end "
        "that."
    ),
    show="Show connected apps",
    connections_use="{server} checks it at OIG Cloud. It is asked for each time.",
    none_connected="No app is connected to this account.",
    goes_to="Runs on",
    rights="Rights",
    reads="reads data",
    controls="reads data and changes settings",
    since="Connected",
    used="Last used",
    number="ID",
    asleep=(
        "OIG Cloud did not accept the password on {day}, so this app no longer has access. If you "
        "have changed the password, connect the app again."
    ),
    give_control="Allow changes",
    take_control="Make read-only",
    end="End connection",
    end_all="End all connections",
    end_all_warning="Each app has to be connected again before it can be used.",
    end_all_now="Yes, end all",
    ended_heading="Recently ended",
    ended_on="{day}: {why}",
    ended={
        "owner": "you ended it here",
        "operator": "the person who runs this server ended it",
        "client": "the app logged out",
        "code_reused": REUSED,
        "refresh_reused": REUSED,
        "rejected": "OIG Cloud did not accept the password any more",
        "replaced": "it was connected again",
        "idle": "it was not used for a long time",
        "expired": "connections last a year at most",
    },
    ended_other="it ended",
    now_ended="{name} is not connected any more.",
    now_all_ended="No app is connected any more. Connections ended: {count}.",
    now_controls="{name} may change settings from now on.",
    now_reads="{name} may only read from now on.",
    already_ended="That connection had ended already.",
    action_expired="More than 10 minutes have passed. Log in again to make changes.",
    time_left="The buttons work for 10 minutes after you logged in.",
)
