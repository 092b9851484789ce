"""Cases of failure and attack that the ordinary tests hold in full, each with its test."""

from __future__ import annotations

HELD: tuple[tuple[str, str], ...] = (
    (
        "the daemon is killed with requests in flight",
        "tests/test_cache_client.py::test_every_call_in_flight_ends_when_the_daemon_is_killed_and_the_next_reaches_the_new_one",
    ),
    (
        "a worker finds the daemon again",
        "tests/test_resilience.py::test_a_worker_reconnects_within_a_second_of_the_daemons_return",
    ),
    (
        "a worker dies with the lease of a login that others wait for",
        "tests/test_resilience.py::test_the_lease_of_a_killed_worker_passes_to_another",
    ),
    (
        "a worker is frozen with a lease, and answers late",
        "tests/accounts_contract.py::test_a_late_answer_changes_nothing",
    ),
    (
        "a stale socket after a crash",
        "tests/test_daemon.py::test_after_a_kill_the_next_daemon_takes_the_stale_socket",
    ),
    (
        "a file or link in place of the socket",
        "tests/test_socket_file.py::test_anything_else_at_the_path_is_left_alone",
    ),
    (
        "a second daemon is started",
        "tests/test_daemon.py::test_a_second_daemon_says_so_in_one_line_and_leaves_the_first_alone",
    ),
    (
        "the socket is removed while all runs",
        "tests/test_socket_file.py::test_a_missing_file_is_restored_and_stops_the_next_daemon",
    ),
    (
        "the socket is taken over",
        "tests/test_daemon.py::test_a_daemon_whose_path_is_taken_stops_for_a_restart",
    ),
    (
        "a folder that others may enter",
        "tests/test_socket_file.py::test_a_folder_that_others_can_enter_is_refused_with_what_to_do",
    ),
    (
        "a link in place of the folder",
        "tests/test_socket_file.py::test_a_link_or_file_in_place_of_the_folder_is_refused",
    ),
    (
        "a peer of another user",
        "tests/test_daemon.py::test_another_user_is_turned_away_before_a_byte_is_read",
    ),
    (
        "idle connections beyond the limit",
        "tests/test_daemon.py::test_no_number_of_idle_connections_shuts_anybody_out",
    ),
    (
        "bytes of a frame that drip in",
        "tests/test_daemon.py::test_a_frame_that_drips_in_gets_no_further_time_for_each_drop",
    ),
    (
        "a client that does not read",
        "tests/test_daemon.py::test_a_client_that_does_not_read_is_disconnected_and_memory_stays_flat",
    ),
    (
        "no descriptors for the daemon",
        "tests/test_daemon.py::test_without_descriptors_it_serves_on_and_does_not_spin",
    ),
    (
        "the cap of memory is reached",
        "tests/accounts_contract.py::test_eviction_touches_neither_leases_nor_locks",
    ),
    (
        "the clock is set while the daemon is down",
        "tests/test_backing.py::test_it_goes_on_where_the_last_commit_was",
    ),
    (
        "the wall clock is set while all runs",
        "tests/test_answer_time.py::test_after_a_step_no_reading_is_of_the_future",
    ),
    (
        "a full disk under the sessions",
        "tests/test_backing.py::test_a_full_disk_delays_nobody_and_loses_nothing",
    ),
    (
        "a torn or flipped file at the start",
        "tests/test_backing.py::test_a_damaged_file_is_used_whole_or_not_at_all",
    ),
    (
        "SIGTERM under load",
        "tests/test_daemon.py::test_under_load_it_stops_in_time",
    ),
    (
        "SIGTERM twice",
        "tests/test_daemon.py::test_a_second_signal_ends_it_at_once",
    ),
    (
        "SIGHUP",
        "tests/test_daemon.py::test_a_hangup_is_survived_and_logged",
    ),
    (
        "200 callers of one login at once",
        "tests/test_cache_client.py::test_two_hundred_callers_of_one_key_make_one_login",
    ),
    (
        "callers who leave before their answer",
        "tests/test_cache_client.py::test_ten_thousand_random_cancels_never_mix_up_answers",
    ),
    (
        "a length of 0, or of 4 GiB",
        "tests/test_wire.py::test_a_frame_of_no_or_too_much_length_is_refused_by_its_length_alone",
    ),
    (
        "nested, doubled, unknown or no values in a frame",
        "tests/test_wire.py::test_what_is_no_request_is_a_protocol_error_and_cheap",
    ),
    (
        "callers of a worker that do not read",
        "tests/test_unread_answers.py::test_the_sum_of_unread_answers_is_bounded",
    ),
    (
        "many accounts are tried, to push out locks",
        "tests/test_accounts_memory.py::test_without_room_for_a_lock_strangers_are_refused_where_nothing_is_counted",
    ),
    (
        "one address tries a hundred accounts",
        "tests/test_guessing.py::test_one_address_may_fail_at_twenty_accounts_of_a_hundred",
    ),
    (
        "200 first calls of one login over HTTP, to both workers",
        "tests/test_server.py::test_200_simultaneous_first_calls_cause_one_login",
    ),
    (
        "guesses beside a cached session, and the right password during the lock",
        "tests/accounts_contract.py::test_an_account_lock_holds_for_the_right_password_from_unknown_sources",
    ),
    (
        "guesses from many addresses, and the owner's own",
        "tests/failures_contract.py::test_a_known_source_is_spared_the_lock_of_the_account_but_not_its_own",
    ),
    (
        "a worker with another secret",
        "tests/test_secrets_compared.py::test_a_worker_with_another_secret_reports_it_and_refuses_everything",
    ),
    (
        "a bit of a sealed value is flipped",
        "tests/test_sealing.py::test_every_damaged_byte_and_every_shorter_value_is_noticed",
    ),
    (
        "sealed values of two accounts are swapped",
        "tests/test_sealing.py::test_a_value_moved_to_another_account_does_not_open",
    ),
    (
        "a worker's socket without TCP_NODELAY",
        "tests/test_server.py::test_a_worker_uses_its_inherited_socket_with_the_right_family",
    ),
    (
        "a flush of many accounts",
        "tests/test_long_flush.py::test_others_have_a_turn_after_each_page_of_a_flush",
    ),
    (
        "a daemon that could be dumped",
        "tests/test_daemon.py::test_its_memory_cannot_be_dumped_or_read",
    ),
    (
        "a worker that could be dumped",
        "tests/test_resilience.py::test_workers_and_daemon_refuse_to_be_dumped",
    ),
    (
        "scripts are forgotten",
        "tests/test_valkey_troubles.py::test_scripts_may_be_forgotten_at_any_time",
    ),
    (
        "a primary fails over under load",
        "tests/test_two_groups.py::test_a_primary_that_is_killed_costs_no_answer_and_no_session",
    ),
    (
        "a login's answer that drips in, or hangs in any part",
        "tests/test_portal_client.py::test_the_time_limit_covers_every_part_of_the_answer",
    ),
    (
        "an answer of the portal that is packed, and grows",
        "tests/test_portal_reads.py::test_everything_else_is_the_portals_fault",
    ),
    (
        "an apply dies or stalls at every step it has",
        "tests/test_control_processes.py::test_an_apply_that_dies_or_stalls_blocks_the_box_no_longer_than_allowed",
    ),
)
"""What is done, and the test that does it."""
