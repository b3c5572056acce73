/**
 * The system calls a service may make, grouped by what they are for. Names of every architecture stand side by side:
 * runtimes pass over those that a kernel does not know. Left out on purpose: io_uring (its requests pass by this
 * filter), userfaultfd, keyrings, modify_ldt, and socketcall, whose arguments a filter cannot see.
 */
export const ALLOWED_CALLS: Record<string, readonly string[]> = {
  file: words(`
    access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
    fadvise64 fadvise64_64 arm_fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl
    fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64
    fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init
    inotify_init1 inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listxattr llistxattr lremovexattr
    _llseek lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat oldfstat oldlstat
    oldstat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat
    readv removexattr rename renameat renameat2 rmdir sendfile sendfile64 setxattr splice stat stat64 statfs statfs64
    statx symlink symlinkat sync sync_file_range sync_file_range2 syncfs tee truncate truncate64 umask unlink
    unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev cachestat
    landlock_add_rule landlock_create_ruleset landlock_restrict_self`),
  memory: words(`
    brk get_mempolicy madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall
    mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
    process_mrelease remap_file_pages`),
  process: words(`
    arch_prctl capget capset execve execveat exit exit_group fork getcpu getegid getegid32 geteuid geteuid32 getgid
    getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid
    getresuid32 getrlimit get_robust_list getrusage getsid get_thread_area gettid getuid getuid32 ioprio_get
    ioprio_set pidfd_open pidfd_send_signal prctl prlimit64 rseq sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
    seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setpriority
    setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list
    setsid set_thread_area set_tid_address set_tls setuid setuid32 sysinfo times ugetrlimit uname vfork wait4
    waitid waitpid breakpoint cacheflush restart_syscall`),
  signals: words(`
    alarm kill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaction sigaltstack signal signalfd signalfd4
    sigpending sigprocmask sigreturn sigsuspend tgkill tkill`),
  time: words(`
    adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64`),
  sockets: words(`
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64
    recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketpair`),
  'waiting for files': words(`
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select io_cancel io_destroy io_getevents
    io_pgetevents io_pgetevents_time64 io_setup io_submit pipe pipe2`),
  'System V and POSIX ipc': words(`
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
    mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget`),
  random: ['getrandom'],
  // futex itself is in seccomp-profile.ts: it depends on the operation.
  'futex waits': ['futex_waitv'],
};

/** What a capability in the manifest opens. Without it these end with EPERM, as they would for want of the right. */
export const CALLS_OF_CAPABILITY: Record<string, readonly string[]> = {
  CAP_BPF: ['bpf'],
  CAP_DAC_READ_SEARCH: ['open_by_handle_at'],
  CAP_PERFMON: ['perf_event_open'],
  CAP_SYS_ADMIN: words(`
    bpf clone3 fanotify_init fanotify_mark fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr
    move_mount open_tree perf_event_open pivot_root quotactl quotactl_fd setdomainname sethostname setns umount
    umount2 unshare`),
  CAP_SYS_BOOT: ['kexec_file_load', 'kexec_load', 'reboot'],
  CAP_SYS_CHROOT: ['chroot'],
  CAP_SYS_MODULE: ['create_module', 'delete_module', 'finit_module', 'init_module'],
  CAP_SYS_NICE: ['mbind', 'migrate_pages', 'move_pages', 'set_mempolicy', 'set_mempolicy_home_node'],
  CAP_SYS_PACCT: ['acct'],
  CAP_SYS_PTRACE: [
    'kcmp',
    'pidfd_getfd',
    'process_madvise',
    'process_vm_readv',
    'process_vm_writev',
    'ptrace',
  ],
  CAP_SYS_RAWIO: ['ioperm', 'iopl'],
  CAP_SYS_TIME: ['clock_settime', 'clock_settime64', 'settimeofday', 'stime'],
  CAP_SYS_TTY_CONFIG: ['vhangup'],
  CAP_SYSLOG: ['syslog'],
};

/** No capability opens these; only `security.syscalls` does. EPERM, because programs know how to go on without. */
export const REFUSED_CALLS: readonly string[] = words(`
  add_key io_uring_enter io_uring_register io_uring_setup keyctl nfsservctl request_key swapoff swapon uselib
  userfaultfd ustat vm86 vm86old _sysctl get_kernel_syms query_module sysfs`);

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
