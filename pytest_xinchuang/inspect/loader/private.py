"""The functions and variables that glibc keeps for its own libraries (GLIBC_PRIVATE), by the releases that have them.

Read from the version scripts of glibc 2.17 to 2.42, those of other architectures left out. What is also public under some
version is not here. A range may have gaps that no platform's release falls into.
"""

from __future__ import annotations

from collections.abc import Mapping

NEWEST_READ = (2, 42)

_RANGES: Mapping[tuple[str, str], str] = {
    ("2.17", "2.24"): ("_dl_tls_setup"),
    ("2.17", "2.25"): ("__libc_res_nquery __libc_res_nsearch __res_maybe_init _dl_out_of_memory"),
    ("2.17", "2.30"): ("__clock_getcpuclockid __clock_getres __clock_nanosleep __clock_settime"),
    ("2.17", "2.31"): (
        "_nsl_default_nss _nss_nis_endaliasent _nss_nis_endetherent _nss_nis_endgrent _nss_nis_endhostent "
        "_nss_nis_endnetent _nss_nis_endnetgrent _nss_nis_endprotoent _nss_nis_endpwent _nss_nis_endrpcent "
        "_nss_nis_endservent _nss_nis_endspent _nss_nis_getaliasbyname_r _nss_nis_getaliasent_r "
        "_nss_nis_getetherent_r _nss_nis_getgrent_r _nss_nis_getgrgid_r _nss_nis_getgrnam_r "
        "_nss_nis_gethostbyaddr_r _nss_nis_gethostbyname2_r _nss_nis_gethostbyname4_r "
        "_nss_nis_gethostbyname_r _nss_nis_gethostent_r _nss_nis_gethostton_r _nss_nis_getnetbyaddr_r "
        "_nss_nis_getnetbyname_r _nss_nis_getnetent_r _nss_nis_getnetgrent_r _nss_nis_getntohost_r "
        "_nss_nis_getprotobyname_r _nss_nis_getprotobynumber_r _nss_nis_getprotoent_r _nss_nis_getpublickey "
        "_nss_nis_getpwent_r _nss_nis_getpwnam_r _nss_nis_getpwuid_r _nss_nis_getrpcbyname_r "
        "_nss_nis_getrpcbynumber_r _nss_nis_getrpcent_r _nss_nis_getsecretkey _nss_nis_getservbyname_r "
        "_nss_nis_getservbyport_r _nss_nis_getservent_r _nss_nis_getspent_r _nss_nis_getspnam_r "
        "_nss_nis_initgroups_dyn _nss_nis_netname2user _nss_nis_setaliasent _nss_nis_setetherent "
        "_nss_nis_setgrent _nss_nis_sethostent _nss_nis_setnetent _nss_nis_setnetgrent _nss_nis_setprotoent "
        "_nss_nis_setpwent _nss_nis_setrpcent _nss_nis_setservent _nss_nis_setspent _nss_nisplus_endaliasent "
        "_nss_nisplus_endetherent _nss_nisplus_endgrent _nss_nisplus_endhostent _nss_nisplus_endnetent "
        "_nss_nisplus_endnetgrent _nss_nisplus_endprotoent _nss_nisplus_endpwent _nss_nisplus_endrpcent "
        "_nss_nisplus_endservent _nss_nisplus_endspent _nss_nisplus_getaliasbyname_r "
        "_nss_nisplus_getaliasent_r _nss_nisplus_getetherent_r _nss_nisplus_getgrent_r "
        "_nss_nisplus_getgrgid_r _nss_nisplus_getgrnam_r _nss_nisplus_gethostbyaddr_r "
        "_nss_nisplus_gethostbyname2_r _nss_nisplus_gethostbyname4_r _nss_nisplus_gethostbyname_r "
        "_nss_nisplus_gethostent_r _nss_nisplus_gethostton_r _nss_nisplus_getnetbyaddr_r "
        "_nss_nisplus_getnetbyname_r _nss_nisplus_getnetent_r _nss_nisplus_getnetgrent_r "
        "_nss_nisplus_getntohost_r _nss_nisplus_getprotobyname_r _nss_nisplus_getprotobynumber_r "
        "_nss_nisplus_getprotoent_r _nss_nisplus_getpublickey _nss_nisplus_getpwent_r _nss_nisplus_getpwnam_r "
        "_nss_nisplus_getpwuid_r _nss_nisplus_getrpcbyname_r _nss_nisplus_getrpcbynumber_r "
        "_nss_nisplus_getrpcent_r _nss_nisplus_getsecretkey _nss_nisplus_getservbyname_r "
        "_nss_nisplus_getservbynumber_r _nss_nisplus_getservent_r _nss_nisplus_getspent_r "
        "_nss_nisplus_getspnam_r _nss_nisplus_initgroups_dyn _nss_nisplus_netname2user "
        "_nss_nisplus_setaliasent _nss_nisplus_setetherent _nss_nisplus_setgrent _nss_nisplus_sethostent "
        "_nss_nisplus_setnetent _nss_nisplus_setnetgrent _nss_nisplus_setprotoent _nss_nisplus_setpwent "
        "_nss_nisplus_setrpcent _nss_nisplus_setservent _nss_nisplus_setspent"
    ),
    ("2.17", "2.32"): ("__get_cpu_features"),
    ("2.17", "2.33"): (
        "__libc_allocate_rtsig_private __libc_current_sigrtmax_private __libc_current_sigrtmin_private "
        "__libc_dl_error_tsd __libc_dlclose __libc_dlopen_mode __libc_dlsym __libc_longjmp __libc_siglongjmp "
        "__pthread_clock_gettime __pthread_clock_settime __pthread_unwind _dl_addr _dl_open_hook _dl_sym "
        "_dl_vsym"
    ),
    ("2.17", "2.42"): (
        "__abort_msg __clock_gettime __collate_element_hash __collate_element_strings "
        "__collate_symbol_classes __collate_symbol_hash __collate_symbol_strings __create_ib_request "
        "__ctype_init __do_niscall3 __follow_path __fortify_fail __gai_sigqueue __gconv_get_alias_db "
        "__gconv_get_cache __gconv_get_modules_db __internal_endnetgrent __internal_getnetgrent_r "
        "__internal_setnetgrent __libc_alloca_cutoff __libc_clntudp_bufcreate __libc_enable_secure "
        "__libc_fatal __libc_fork __libc_ifunc_impl_list __libc_malloc_pthread_startup __libc_msgrcv "
        "__libc_msgsnd __libc_pthread_init __libc_pwrite __libc_rpc_getport __libc_secure_getenv "
        "__libc_system __libc_thread_freeres __madvise __ns_get16 __ns_get32 __ns_name_ntop __ns_name_unpack "
        "__nss_disable_nscd __nss_group_lookup2 __nss_hosts_lookup2 __nss_lookup __nss_lookup_function "
        "__nss_next2 __nss_passwd_lookup2 __nss_services_lookup2 __open_catalog __pointer_chk_guard "
        "__prepare_niscall __pthread_get_minstack __pthread_initialize_minimal __res_iclose __resp __sendmmsg "
        "__syscall_rt_sigqueueinfo __vdso_clock_getres __vdso_clock_gettime _dl_allocate_tls "
        "_dl_allocate_tls_init _dl_argv _dl_deallocate_tls _dl_debug_state _dl_get_tls_static_info "
        "_dl_make_stack_executable _dl_rtld_di_serinfo _dl_starting_up _dlfcn_hook _itoa_lower_digits "
        "_nss_compat_endgrent _nss_compat_endpwent _nss_compat_endspent _nss_compat_getgrent_r "
        "_nss_compat_getgrgid_r _nss_compat_getgrnam_r _nss_compat_getpwent_r _nss_compat_getpwnam_r "
        "_nss_compat_getpwuid_r _nss_compat_getspent_r _nss_compat_getspnam_r _nss_compat_initgroups_dyn "
        "_nss_compat_setgrent _nss_compat_setpwent _nss_compat_setspent _nss_db_endetherent _nss_db_endgrent "
        "_nss_db_endnetgrent _nss_db_endprotoent _nss_db_endpwent _nss_db_endrpcent _nss_db_endservent "
        "_nss_db_endsgent _nss_db_endspent _nss_db_getetherent_r _nss_db_getgrent_r _nss_db_getgrgid_r "
        "_nss_db_getgrnam_r _nss_db_gethostton_r _nss_db_getnetgrent_r _nss_db_getntohost_r "
        "_nss_db_getprotobyname_r _nss_db_getprotobynumber_r _nss_db_getprotoent_r _nss_db_getpwent_r "
        "_nss_db_getpwnam_r _nss_db_getpwuid_r _nss_db_getrpcbyname_r _nss_db_getrpcbynumber_r "
        "_nss_db_getrpcent_r _nss_db_getservbyname_r _nss_db_getservbyport_r _nss_db_getservent_r "
        "_nss_db_getsgent_r _nss_db_getsgnam_r _nss_db_getspent_r _nss_db_getspnam_r _nss_db_init "
        "_nss_db_initgroups_dyn _nss_db_setetherent _nss_db_setgrent _nss_db_setnetgrent _nss_db_setprotoent "
        "_nss_db_setpwent _nss_db_setrpcent _nss_db_setservent _nss_db_setsgent _nss_db_setspent "
        "_nss_dns_getcanonname_r _nss_dns_gethostbyaddr2_r _nss_dns_gethostbyaddr_r _nss_dns_gethostbyname2_r "
        "_nss_dns_gethostbyname3_r _nss_dns_gethostbyname4_r _nss_dns_gethostbyname_r _nss_dns_getnetbyaddr_r "
        "_nss_dns_getnetbyname_r _nss_files_endaliasent _nss_files_endetherent _nss_files_endgrent "
        "_nss_files_endhostent _nss_files_endnetent _nss_files_endnetgrent _nss_files_endprotoent "
        "_nss_files_endpwent _nss_files_endrpcent _nss_files_endservent _nss_files_endsgent "
        "_nss_files_endspent _nss_files_getaliasbyname_r _nss_files_getaliasent_r _nss_files_getetherent_r "
        "_nss_files_getgrent_r _nss_files_getgrgid_r _nss_files_getgrnam_r _nss_files_gethostbyaddr_r "
        "_nss_files_gethostbyname2_r _nss_files_gethostbyname4_r _nss_files_gethostbyname_r "
        "_nss_files_gethostent_r _nss_files_gethostton_r _nss_files_getnetbyaddr_r _nss_files_getnetbyname_r "
        "_nss_files_getnetent_r _nss_files_getnetgrent_r _nss_files_getntohost_r _nss_files_getprotobyname_r "
        "_nss_files_getprotobynumber_r _nss_files_getprotoent_r _nss_files_getpublickey _nss_files_getpwent_r "
        "_nss_files_getpwnam_r _nss_files_getpwuid_r _nss_files_getrpcbyname_r _nss_files_getrpcbynumber_r "
        "_nss_files_getrpcent_r _nss_files_getsecretkey _nss_files_getservbyname_r _nss_files_getservbyport_r "
        "_nss_files_getservent_r _nss_files_getsgent_r _nss_files_getsgnam_r _nss_files_getspent_r "
        "_nss_files_getspnam_r _nss_files_init _nss_files_initgroups_dyn _nss_files_parse_etherent "
        "_nss_files_parse_grent _nss_files_parse_netent _nss_files_parse_protoent _nss_files_parse_pwent "
        "_nss_files_parse_rpcent _nss_files_parse_servent _nss_files_parse_sgent _nss_files_parse_spent "
        "_nss_files_setaliasent _nss_files_setetherent _nss_files_setgrent _nss_files_sethostent "
        "_nss_files_setnetent _nss_files_setnetgrent _nss_files_setprotoent _nss_files_setpwent "
        "_nss_files_setrpcent _nss_files_setservent _nss_files_setsgent _nss_files_setspent "
        "_nss_netgroup_parseline _rtld_global _rtld_global_ro _xdr_ib_request _xdr_nis_result"
    ),
    ("2.19", "2.33"): ("_dl_var_init"),
    ("2.19", "2.42"): ("__call_tls_dtors __mktemp _dl_find_dso_for_object _nss_files_gethostbyname3_r"),
    ("2.20", "2.29"): ("__libc_vfork"),
    ("2.21", "2.33"): ("__shm_directory"),
    ("2.21", "2.42"): ("__gconv_transliterate __getrlimit"),
    ("2.22", "2.25"): ("__libc_write __nacl_irt_ __nacl_supply_interface_rtld"),
    ("2.22", "2.33"): ("__pthread_barrier_init __pthread_barrier_wait"),
    ("2.22", "2.42"): (
        "__h_errno __libc_close __libc_open __libc_pread __libc_scratch_buffer_grow "
        "__libc_scratch_buffer_grow_preserve __libc_scratch_buffer_set_array_size __recv __socket __tdelete "
        "__tfind __tsearch __twalk"
    ),
    ("2.23", "2.42"): ("__netlink_assert_response __strtod_nan __strtof_nan __strtold_nan"),
    ("2.24", "2.42"): ("__copy_grp __merge_grp"),
    ("2.25", "2.25"): ("__tunable_set_val"),
    ("2.25", "2.36"): ("_dl_catch_error"),
    ("2.25", "2.38"): ("__snprintf"),
    ("2.25", "2.42"): ("__inet6_scopeid_pton _dl_signal_error"),
    ("2.26", "2.42"): (
        "_IO_enable_locks __inet_pton_length __libc_alloc_buffer_alloc_array __libc_alloc_buffer_allocate "
        "__libc_alloc_buffer_copy_bytes __libc_alloc_buffer_copy_string __libc_alloc_buffer_create_failure "
        "__libc_dynarray_at_failure __libc_dynarray_emplace_enlarge __libc_dynarray_finalize "
        "__libc_dynarray_resize __libc_dynarray_resize_clear __libc_reallocarray __mprotect __munmap "
        "__res_context_hostalias __res_context_query __res_context_search __resolv_context_get "
        "__resolv_context_get_override __resolv_context_get_preinit __resolv_context_put __strtof128_nan "
        "__tunable_get_val"
    ),
    ("2.27", "2.33"): ("__libc_dlvsym _dl_open_hook2"),
    ("2.27", "2.42"): (
        "__close_nocancel __nss_hash __open_nocancel __read_nocancel __sigtimedwait _dl_catch_exception "
        "_dl_exception_create _dl_exception_create_format _dl_exception_free _dl_signal_exception"
    ),
    ("2.28", "2.31"): ("__libc_readline_unlocked"),
    ("2.28", "2.33"): ("__libdl_freeres __libpthread_freeres"),
    ("2.28", "2.34"): ("__pthread_threads"),
    ("2.28", "2.42"): (
        "__cthread_detach __cthread_fork __cthread_getspecific __cthread_keycreate __cthread_setspecific "
        "__fcntl_nocancel __fseeko64 __ftello64 __idna_from_dns_encoding __idna_to_dns_encoding "
        "__libc_allocate_once_slow __libc_fcntl64 __lll_abstimed_lock __lll_abstimed_wait "
        "__lll_abstimed_xwait __lll_robust_abstimed_lock __lll_robust_lock __lll_robust_trylock "
        "__lll_robust_unlock __nanosleep_nocancel __open64_nocancel __pause_nocancel __pthread_attr_getstack "
        "__pthread_getattr_np __write_nocancel"
    ),
    ("2.29", "2.42"): ("__inet_aton_exact"),
    ("2.30", "2.33"): ("__nss_database_lookup2"),
    ("2.30", "2.42"): ("__twalk_r"),
    ("2.31", "2.42"): (
        "__pread64_nocancel __pthread_mutex_timedlock _hurd_sigstate_delete _hurd_sigstate_lock "
        "_hurd_sigstate_pending _hurd_sigstate_set_global_rcv _hurd_sigstate_unlock"
    ),
    ("2.32", "2.33"): (
        "__pthread_attr_copy __pthread_attr_destroy __pthread_attr_setaffinity_np "
        "__pthread_attr_setsigmask_internal __pthread_getattr_default_np"
    ),
    ("2.32", "2.42"): (
        "__file_change_detection_for_fp __file_change_detection_for_path __file_change_detection_for_stat "
        "__file_is_unchanged __gconv_create_spec __gconv_open __libc_early_init __nss_files_fopen "
        "__nss_parse_line_result __nss_readline __pthread_attr_init __pthread_cleanup_stack "
        "__pthread_cond_destroy __pthread_cond_init __pthread_disable_asynccancel "
        "__pthread_enable_asynccancel _dl_fatal_printf"
    ),
    ("2.33", "2.33"): ("__futex_abstimed_wait64 __futex_abstimed_wait_cancelable64"),
    ("2.33", "2.36"): ("__libc_scratch_buffer_dupfree"),
    ("2.33", "2.42"): (
        "__fstat64 __gconv_destroy_spec __lll_abstimed_wait_intr __mig_memcpy __pthread_create "
        "__pthread_detach _dl_x86_get_cpu_features"
    ),
    ("2.34", "2.40"): ("__nptl_change_stack_perm"),
    ("2.34", "2.42"): (
        "__libc_dlerror_result __libc_dn_expand __libc_dn_skipname __libc_ns_makecanon __libc_ns_samename "
        "__libc_res_dnok __libc_res_hnok __libc_res_nameinquery __libc_res_queriesmatch __libc_sigaction "
        "__libc_unwind_link_get __libnss_dns_version_placeholder __libnss_files_version_placeholder "
        "__lll_lock_wait_private __lll_lock_wake_private __nptl_create_event __nptl_death_event "
        "__nptl_initial_report_events __nptl_last_event __nptl_nthreads __nptl_rtld_global "
        "__nptl_set_robust_list_avail __nptl_threads_events __nptl_version __ns_name_compress __ns_name_pack "
        "__ns_name_pton __ns_name_skip __ns_name_uncompress __nss_database_get __nss_files_data_endent "
        "__nss_files_data_open __nss_files_data_put __nss_files_data_setent __pthread_keys "
        "__res_context_mkquery __res_context_send __res_get_nsaddr __res_nopt __shm_get_name _dlerror_run "
        "_thread_db___nptl_last_event _thread_db___nptl_nthreads _thread_db___nptl_rtld_global "
        "_thread_db___pthread_keys _thread_db_const_thread_area _thread_db_dtv_dtv "
        "_thread_db_dtv_slotinfo_gen _thread_db_dtv_slotinfo_list_len _thread_db_dtv_slotinfo_list_next "
        "_thread_db_dtv_slotinfo_list_slotinfo _thread_db_dtv_slotinfo_map _thread_db_dtv_t_counter "
        "_thread_db_dtv_t_pointer_val _thread_db_link_map_l_tls_modid _thread_db_link_map_l_tls_offset "
        "_thread_db_list_t_next _thread_db_list_t_prev _thread_db_pthread_cancelhandling "
        "_thread_db_pthread_dtvp _thread_db_pthread_eventbuf _thread_db_pthread_eventbuf_eventmask "
        "_thread_db_pthread_eventbuf_eventmask_event_bits _thread_db_pthread_key_data_data "
        "_thread_db_pthread_key_data_level2_data _thread_db_pthread_key_data_seq "
        "_thread_db_pthread_key_struct_destr _thread_db_pthread_key_struct_seq _thread_db_pthread_list "
        "_thread_db_pthread_nextevent _thread_db_pthread_report_events "
        "_thread_db_pthread_schedparam_sched_priority _thread_db_pthread_schedpolicy "
        "_thread_db_pthread_specific _thread_db_pthread_start_routine _thread_db_pthread_tid "
        "_thread_db_register32 _thread_db_register32_thread_area _thread_db_register64 "
        "_thread_db_register64_thread_area _thread_db_rtld_global__dl_stack_used "
        "_thread_db_rtld_global__dl_stack_user _thread_db_rtld_global__dl_tls_dtv_slotinfo_list "
        "_thread_db_sizeof_dtv_slotinfo _thread_db_sizeof_dtv_slotinfo_list _thread_db_sizeof_list_t "
        "_thread_db_sizeof_pthread _thread_db_sizeof_pthread_key_data "
        "_thread_db_sizeof_pthread_key_data_level2 _thread_db_sizeof_pthread_key_struct "
        "_thread_db_sizeof_td_eventbuf_t _thread_db_sizeof_td_thr_events_t _thread_db_td_eventbuf_t_eventdata "
        "_thread_db_td_eventbuf_t_eventnum _thread_db_td_thr_events_t_event_bits"
    ),
    ("2.35", "2.42"): ("_dl_audit_preinit _dl_audit_symbind_alt"),
    ("2.38", "2.42"): ("___pthread_self __hurd_thread_self __mig_strlen __pthread_total"),
    ("2.39", "2.42"): ("__tunable_is_initialized"),
    ("2.40", "2.42"): ("__pthread_init_thread __vm_map"),
    ("2.41", "2.42"): (
        "__pthread_attr_getstackaddr __pthread_attr_getstacksize __pthread_attr_setstack "
        "__pthread_attr_setstackaddr __pthread_attr_setstacksize __pthread_block __pthread_block_intr "
        "__pthread_cond_broadcast __pthread_cond_clockwait __pthread_cond_signal __pthread_cond_timedwait "
        "__pthread_cond_wait __pthread_condattr_init __pthread_default_attr __pthread_default_condattr "
        "__pthread_mutex_checklocked __pthread_sigmask __pthread_sigstate __pthread_sigstate_destroy "
        "__pthread_timedblock __pthread_timedblock_intr __pthread_wakeup"
    ),
    ("2.42", "2.42"): (
        "__close_nocancel_nostatus __pthread_destroy_specific __pthread_key_delete __pthread_setcancelstate"
    ),
}


def _key(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


PRIVATE: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
    name: (_key(first), _key(last)) for (first, last), names in _RANGES.items() for name in names.split()
}
"""Name -> the first and the last release that has it."""
