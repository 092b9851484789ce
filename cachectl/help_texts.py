"""What the help says of commands beside their options."""

EXAMPLES = """\
examples:
  cachectl stats                            what the cache is doing
  cachectl stats --watch 5                  the same every 5 s, with rates
  cachectl stats --json | jq .hit_ratio     every command takes --json
  cachectl flush                            drop all sessions
  cachectl flush --account jana@example.cz  drop those of one account
  cachectl unlock jana@example.cz           let an account try again at once
  cachectl unlock --source 192.0.2.7        let an address try again at once
  cachectl journal --box 2210400017         what was changed at a box
  cachectl journal end 0f3a5c7712d9e0b4     release its box
  cachectl connections                      clients connected with a browser
  cachectl connections end 5f1c09ab         end one of them
  cachectl forget-owner jana@example.cz     remove what is stored about it
  cachectl rotate-secret                    a new secret, if the old one got out
  cachectl reload                           after a change of the settings file

An EMAIL never reaches the daemon: it becomes a fingerprint, made with the
secret that the workers share (OIG_SECRET_FILE, or var/run/secret).

exit codes:
  0  done
  1  refused: by the daemon, at the prompt, or because the secret is missing;
     or done in memory only, as the disk cannot be written; or the shared
     storage (OIG_CACHE_URL) must not be used as it is set up
  2  wrong command line or environment
  3  the cache daemon, or the shared storage, is not reachable
"""

FLUSH = """\
Drops all sessions unless an option says otherwise. Their owners notice only
that their next call takes a login longer, so this asks nothing. --all, which
forgets the failed logins as well, asks first; without a terminal to ask on
it is refused unless --yes is given.
"""

JOURNAL = """\
Lists the changes that were made at boxes, latest first, from the file that
OIG_JOURNAL names. It asks neither daemon nor portal: "unclear" is a change that
nobody has checked, or that a crash left open. Reservations come first: nothing
has been sent for them yet. `journal end` releases a box.
"""

RELEASE = """\
Releases the box that a reservation, or a change under way, blocks for other
changes. The apply of a reservation no longer sends anything, and its plan stays
valid. A change that was sent may still take effect: nobody can take it back, and
its outcome stays unknown. Asks first, unless --yes is given; refuses while the
change is being sent, unless --force is given.
"""

CONNECTIONS = """\
Lists the clients that owners have connected with a browser, latest first, from
the file that OIG_GRANTS names: their name, where their code went, what they may
do, and their state. It asks neither daemon nor portal. `connections end` ends
some of them.
"""

END = """\
Ends connections: their tokens are refused at once, and what they sealed is
overwritten. Each of these clients has to be connected again, with the password.
Asks first; without a terminal to ask on it is refused unless --yes is given.
"""

FORGET = """\
Removes an account's connections, sessions, session handles, answers, failed
logins and known sources from their record, the daemon, its file and the
workers, and ends logins that are under way for it. Says what stays: the journal,
and lines in logs. Who knows the password may log in again: take the account off
OIG_ALLOWED_EMAILS first, if it is to stay away.
"""

RELOAD = """\
Read the settings again, as they stand in the settings file and in files that they name. All are
checked first: when one is wrong, nothing changes. Only those listed under "Changed without a
restart" in docs/settings.md change so; all others take a restart of the server. Settings in the
environment of the server stay as they are. With OIG_CACHE_URL the workers of all hosts read the
files of their own host: edit all of them first.
"""

ROTATE = """\
Replaces the secret that all keys and seals are made with, and removes the
cache's file that was made with the old one. Only while the server is stopped, and
after asking. Everybody logs in again; handles and plans of before are refused;
failed logins, locks and known sources are forgotten, for they are stored under
fingerprints of the old secret. All connections of clients end and are removed.
The journal stays, with its old fingerprints. With OIG_CACHE_URL the servers of all
hosts must be stopped, the shared storage is emptied, and the new file must be
copied to all hosts.
"""

UNLOCK = """\
An account may be tried again at once, from everywhere; so may all spellings
of its e-mail that share its budget. --source does the same for an address at
all accounts; what they count over all sources stays.
"""
