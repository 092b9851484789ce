"""What the pages of the browser login say in Czech."""

from __future__ import annotations

from .texts import Texts

REUSED = "jeho klíč byl použit dvakrát, někdo ho mohl zkopírovat"

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
    ended={
        "owner": "ukončili jste je zde",
        "operator": "ukončil je správce serveru",
        "client": "aplikace se odhlásila",
        "code_reused": REUSED,
        "refresh_reused": REUSED,
        "rejected": "OIG Cloud už heslo nepřijal",
        "replaced": "aplikace byla připojena znovu",
        "idle": "dlouho nebylo použito",
        "expired": "připojení trvá nejvýše rok",
    },
    ended_other="skončilo",
    now_ended="Připojení {name} skončilo.",
    now_all_ended="Žádná aplikace už není připojena. Počet ukončených připojení: {count}.",
    now_controls="{name} smí odteď měnit nastavení.",
    now_reads="{name} smí odteď jen číst.",
    already_ended="Toto připojení už předtím skončilo.",
    action_expired="Uplynulo více než 10 minut. Ke změnám se přihlaste znovu.",
    time_left="Tlačítka fungují 10 minut od přihlášení.",
)
