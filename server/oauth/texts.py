"""What the pages of the browser login say, in each language they speak. Pure.

A text is plain: whatever a template puts into it, and the text itself, is escaped there. A field in
braces stands for what the page knows. Adding a language is adding one `Texts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
    ended_owner: str
    ended_operator: str
    ended_client: str
    ended_reused: str
    ended_replaced: str
    ended_idle: str
    ended_expired: str
    ended_rejected: str
    ended_other: str
    now_ended: str
    now_all_ended: str
    now_controls: str
    now_reads: str
    already_ended: str
    action_expired: str
    time_left: str


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
    ended_owner="you ended it here",
    ended_operator="the person who runs this server ended it",
    ended_client="the app logged out",
    ended_reused="a key of it was used twice, so somebody may have copied it",
    ended_replaced="it was connected again",
    ended_idle="it was not used for a long time",
    ended_expired="connections last a year at most",
    ended_rejected="OIG Cloud did not accept the password any more",
    ended_other="it ended",
    now_ended="{name} is not connected any more.",
    now_all_ended="No app is connected any more. Connections ended: {count}.",
    now_controls="{name} may change settings from now on.",
    now_reads="{name} may only read from now on.",
    already_ended="That connection had ended already.",
    action_expired="More than 10 minutes have passed. Log in again to make changes.",
    time_left="The buttons work for 10 minutes after you logged in.",
)

CS = Texts(
    code="cs",
    language="\u010ce\u0161tina",
    quoted="\u201e{text}\u201c",
    months=tuple(f"{number}." for number in range(1, 13)),
    day="{day}. {month} {year}",
    moment="{day} v {time}",
    product="Server pro Battery Box",
    error_title="Chyba: {title}",
    all_connections="Připojené aplikace",
    connect_title="Připojit {name}",
    connect_heading="Připojit aplikaci k vaší baterii",
    asks="{name} žádá o přístup k vašemu účtu OIG Cloud.",
    unnamed="Aplikace beze jména",
    name_unchecked="Toto jméno si aplikace zvolila sama. Nikdo ho neověřil.",
    described_at="Sama sebe popisuje na {site}.",
    goes_heading="Kam přístup povede",
    goes_to_site="Přístup dostane {where} a tam budete přesměrováni.",
    goes_to_program="Přístup dostane {where}.",
    program="program na tomto počítači",
    program_warning=(
        "Pokračujte, jen pokud jste právě začali připojovat program na tomto počítači. Pokud vám "
        "odkaz na tuto stránku někdo poslal, zvolte Zrušit."
    ),
    goes_to_app="Přístup dostane aplikace, která otevírá {where} v tomto zařízení.",
    app_links="odkazy {scheme}",
    app_warning=(
        "Pokračujte, jen pokud jste tuto aplikaci právě začali připojovat. Pokud vám odkaz na tuto "
        "stránku někdo poslal, zvolte Zrušit."
    ),
    may_heading="Co bude smět",
    may_read="Číst vaše data: výkon, energii, stav baterie, nastavení a upozornění",
    may_control="Smí také měnit nastavení Battery Boxu",
    may_control_hint=(
        "Například pracovní režim nebo nabíjení ze sítě. Toto právo můžete kdykoli odebrat."
    ),
    control_asked="Aplikace o to žádá, volba je na vás.",
    account_heading="Váš účet OIG Cloud",
    email="E-mail",
    password="Heslo",
    password_use=(
        "{server} se jím přihlašuje k OIG Cloudu a po dobu připojení je uchovává zašifrované. "
        "Aplikace je nedostane."
    ),
    connect="Připojit",
    cancel="Zrušit",
    bad_email="Toto není e-mailová adresa. Zadejte tu, kterou se přihlašujete k OIG Cloudu.",
    no_password="Heslo chybí, nebo je příliš dlouhé.",
    rejected="OIG Cloud tento e-mail a heslo nepřijal.",
    rejected_or_not_served=(
        "Tento e-mail a heslo nebyly přijaty, nebo tento server daný účet neobsluhuje. Pokud v OIG "
        "Cloudu fungují, obraťte se na správce serveru."
    ),
    locked=(
        "Bylo zadáno příliš mnoho chybných hesel. Ještě {wait} zde bude odmítáno i správné heslo."
    ),
    too_many="Tento účet je používán příliš rychle. Zkuste to znovu za {wait}.",
    busy="Server má právě mnoho práce. Zkuste to znovu za {wait}.",
    portal_trouble=(
        "OIG Cloudu se právě nelze zeptat, takže nikdo neví, zda je heslo správné. Kvůli tomu se "
        "vám přístup nezablokuje. Zkuste to znovu za {wait}."
    ),
    server_trouble=(
        "Server teď nemůže nikoho přihlásit. Vaším heslem to není. Zkuste to znovu za {wait}; "
        "nepomůže-li to, obraťte se na správce serveru."
    ),
    seconds="{count} s",
    minutes="{count} min",
    hours="{count} h",
    allowed_heading="Přístup povolen",
    allowed="{name} smí číst vaše data.",
    allowed_control="{name} smí číst vaše data a měnit nastavení Battery Boxu.",
    cancelled_heading="Zrušeno",
    cancelled="Nic nebylo připojeno.",
    returning="Vracíte se na {where}.",
    returning_program="Vracíte se do aplikace.",
    leads_to="Odkaz níže: {where}.",
    leads_to_warning=(
        "Použijte ho, jen pokud jste tuto aplikaci právě začali připojovat. Jinak stránku zavřete."
    ),
    go_on="Pokračovat do aplikace",
    close_page="Až aplikace oznámí, že je připojena, můžete tuto stránku zavřít.",
    failed_heading="Tuto aplikaci nelze připojit",
    again_in_app="Vraťte se do aplikace a začněte připojovat znovu.",
    unknown_client="Aplikace se nepředstavila tak, aby jí tento server rozuměl.",
    unknown_client_cure="Odeberte tento server z aplikace, přidejte ho znovu a připojte.",
    not_now=(
        "Server si musí zjistit, co je tato aplikace zač, a právě teď nemůže: má mnoho práce, nebo "
        "web aplikace neodpovídá."
    ),
    not_now_cure=(
        "Zkuste to znovu za {wait}: načtěte tuto stránku znovu, nebo začněte znovu v aplikaci. "
        "Nepomůže-li to, obraťte se na správce serveru."
    ),
    wrong_redirect=(
        "Aplikace chce přístup na adresu, kterou předem neuvedla nebo na kterou tento server "
        "nikoho neposílá."
    ),
    wrong_redirect_cure=(
        "Odeberte tento server z aplikace a přidejte ho znovu. Pokud to nepomůže a aplikaci "
        "věříte, požádejte správce serveru, aby její adresu povolil."
    ),
    mistaken="{name} žádá o přístup způsobem, který tento server nepovoluje.",
    for_makers="Pro tvůrce aplikace:",
    foreign_form=(
        "Prohlížeč nepotvrdil, že formulář pochází ze stránky tohoto serveru, proto nebyl "
        "zpracován. Pokud se to opakuje, může původ formulářů skrývat některé rozšíření "
        "prohlížeče."
    ),
    refused_heading="Formulář nebyl přijat",
    begin_again="Začněte znovu: v aplikaci, kterou připojujete, nebo níže u připojených aplikací.",
    damaged_form="Formulář je poškozený, nebo ho vytvořil jiný server.",
    expired_form="Stránka byla otevřená déle než čtvrt hodiny, což je příliš dlouho.",
    no_records="Server se právě nedostane ke svým záznamům o připojených aplikacích.",
    no_records_cure=(
        "Nic se nezměnilo. Zkuste to za minutu znovu; nepomůže-li to, obraťte se na správce "
        "serveru."
    ),
    connections_title="Připojené aplikace",
    connections_login=(
        "Přihlaste se, abyste viděli, které aplikace smějí přes tento server používat váš účet OIG "
        "Cloud, a mohli to ukončit."
    ),
    show="Zobrazit připojené aplikace",
    connections_use="{server} je ověří v OIG Cloudu. Je třeba je zadat pokaždé.",
    none_connected="K tomuto účtu není připojena žádná aplikace.",
    goes_to="Přístup má",
    rights="Práva",
    reads="čte data",
    controls="čte data a mění nastavení",
    since="Připojeno",
    used="Naposledy použito",
    number="Označení",
    asleep=(
        "Dne {day} OIG Cloud nepřijal heslo, proto aplikace nemá přístup. Pokud jste si heslo "
        "změnili, připojte ji znovu."
    ),
    give_control="Povolit změny nastavení",
    take_control="Povolit jen čtení",
    end="Ukončit připojení",
    end_all="Ukončit všechna připojení",
    end_all_warning="Každou aplikaci bude třeba před dalším použitím znovu připojit.",
    end_all_now="Ano, ukončit všechna",
    ended_heading="Nedávno ukončeno",
    ended_on="{day}: {why}",
    ended_owner="ukončili jste je zde",
    ended_operator="ukončil je správce serveru",
    ended_client="aplikace se odhlásila",
    ended_reused="jeho klíč byl použit dvakrát, někdo ho mohl zkopírovat",
    ended_replaced="aplikace byla připojena znovu",
    ended_idle="dlouho nebylo použito",
    ended_expired="připojení trvá nejvýše rok",
    ended_rejected="OIG Cloud už heslo nepřijal",
    ended_other="skončilo",
    now_ended="Připojení {name} skončilo.",
    now_all_ended="Žádná aplikace už není připojena. Počet ukončených připojení: {count}.",
    now_controls="{name} smí odteď měnit nastavení.",
    now_reads="{name} smí odteď jen číst.",
    already_ended="Toto připojení už předtím skončilo.",
    action_expired="Uplynulo více než 10 minut. Ke změnám se přihlaste znovu.",
    time_left="Tlačítka fungují 10 minut od přihlášení.",
)

LANGUAGES = {texts.code: texts for texts in (EN, CS)}
"""All languages by their tags; the first one is for whoever asks for none of them."""

STANDS_IN = {"sk": "cs"}
"""A language that those who ask for another one read better than the first."""

TAG = re.compile(r"[A-Za-z]{1,8}")
"""The primary subtag of a language tag (RFC 5646 2.1)."""

MOST_TAGS = 32
"""Tags that are looked at: a browser sends a few, a stranger may send thousands."""


def texts_for(ui_locales: str, accept_language: str) -> Texts:
    """Choose the language of a page.

    1. What the link to the page asks for (OpenID Connect Core 3.1.2.1): the client knows its user,
       and the pages' own link to the other language is written so.
    2. What the browser accepts (RFC 9110 12.5.4).
    3. The first language.

    Args:
        ui_locales: Language tags, the best first, separated by blanks; empty if none were sent.
        accept_language: The header; empty if there was none.
    """
    for tag in (*ui_locales.split()[:MOST_TAGS], *_accepted(accept_language)):
        primary = TAG.match(tag)
        name = primary[0].lower() if primary else ""
        if (known := STANDS_IN.get(name, name)) in LANGUAGES:
            return LANGUAGES[known]
    return next(iter(LANGUAGES.values()))


def _accepted(header: str) -> Iterable[str]:
    weighed = []
    for item in header.split(",")[:MOST_TAGS]:
        tag, _, parameter = item.partition(";")
        name, _, value = parameter.partition("=")
        try:
            weight = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            weight = 0.0
        if weight > 0.0:
            weighed.append((weight, tag.strip()))
    # Stable: of equal weights the first goes first.
    return [tag for _, tag in sorted(weighed, key=lambda pair: -pair[0])]
