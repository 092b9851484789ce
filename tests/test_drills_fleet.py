"""Processes of a drill keep to the drill's own folder."""

from drills.fleet import running_fleet
from server.settings.table import Settings


def test_all_that_a_fleet_writes_goes_into_its_own_folder():
    with running_fleet(0, daemon=False) as fleet:
        settings = Settings.from_env(fleet.environment)
        for path in (
            settings.journal,
            settings.grants,
            settings.auth_log,
            settings.cache_socket,
            settings.secret_file,
            settings.snapshot_file,
        ):
            assert path.is_relative_to(fleet.folder), path
        assert settings.state_dir.is_dir()
