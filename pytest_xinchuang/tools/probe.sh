#!/bin/sh
# Tells what this machine is: CPU, kernel, system and what it brings, as lines of KEY<tab>VALUE for `xc platforms compare`.
# Reads only, writes to standard output alone, asks no network. Any POSIX shell with the usual tools runs it.
# It tells no host, user or network name, no address and no serial number; read the output before you send it.
# `sh probe.sh brief` leaves out what takes long: packages, languages and settings.
LC_ALL=C
export LC_ALL
set -u
PATH=$PATH:/usr/sbin:/sbin

# What a command prints, a line each behind its key: text alone, and not without end.
tell() {
    key=$1
    shift
    "$@" 2>/dev/null </dev/null | tr -d '\000\r' | tr '\011' ' ' | cut -c 1-6000 | head -n 120 | sed -e '/^ *$/d' -e "s|^|$key	|"
}
have() { command -v "$1" >/dev/null 2>&1; }
first() { "$@" 2>&1 </dev/null | head -n 1; }
symbols() { grep -ao "$1"'_[0-9][0-9.]*[0-9]' "$2" | sort -u; }

printf 'format\txc-probe/1\n'
tell kernel.release uname -r
tell kernel.version uname -v
tell machine uname -m

# os-release without what a site may have added.
release=/etc/os-release
[ -r "$release" ] || release=/usr/lib/os-release
tell os_release grep -E '^(NAME|FULL_NAME|VERSION|VERSION_US|VERSION_ID|VERSION_CODENAME|ID|ID_LIKE|PRETTY_NAME|PLATFORM_ID|UBUNTU_CODENAME|PROJECT_CODENAME|KYLIN_RELEASE_ID|HOME_URL|BUG_REPORT_URL|ANSI_COLOR)=' "$release"
[ ! -r /etc/os-version ] || tell os_version grep -E '^(SystemName|ProductType|EditionName|MajorVersion|MinorVersion|OsBuild)=' /etc/os-version
[ ! -r /etc/.kyinfo ] || tell kyinfo grep -E '^(name|milestone|arch)=' /etc/.kyinfo

# The first processor, and the parts of all: a chip may have two kinds of cores. Boards of Arm print a serial number.
tell cpuinfo awk '/^[[:space:]]*$/ { if (told) exit; next } tolower($0) ~ /^(serial|physical id|apicid|initial apicid)/ { next } tolower($0) ~ /^system type/ { next } { told = 1; print }' /proc/cpuinfo
tell cpu.parts sh -c 'grep -E "^CPU part" /proc/cpuinfo | sort -u'
tell cpu.count getconf _NPROCESSORS_ONLN
tell auxiliary sh -c 'LD_SHOW_AUXV=1 /bin/true | grep -E "^AT_(HWCAP|HWCAP2|PLATFORM|PAGESZ|MINSIGSTKSZ):"'
tell page_size getconf PAGESIZE
for name in sys_vendor product_name board_vendor board_name bios_vendor; do
    tell "dmi.$name" cat "/sys/class/dmi/id/$name"
done
tell tree.model cat /proc/device-tree/model
have systemd-detect-virt && tell virtual systemd-detect-virt
[ ! -e /.dockerenv ] || printf 'container\tdocker\n'
[ ! -e /run/.containerenv ] || printf 'container\tpodman\n'

# libc, libstdc++ and the loader: by what the shell itself loads.
tell libc.version getconf GNU_LIBC_VERSION
tell libc.ldd first ldd --version
libc=$(ldd /bin/sh 2>/dev/null | sed -n 's/.*libc\.so\.6 => \([^ ]*\).*/\1/p' | head -n 1)
[ -z "$libc" ] || tell libc.symbols symbols GLIBC "$libc"
tell interpreter sh -c 'ldd /bin/sh | grep -oE "/[^ ]*/ld[-.][^ ]*" | head -n 1'
for path in $(ldconfig -p 2>/dev/null | sed -n 's/.*libstdc++\.so\.6 .*=> //p') /usr/lib64/libstdc++.so.6 /usr/lib/*-linux-gnu*/libstdc++.so.6; do
    [ -r "$path" ] || continue
    tell libstdcxx.symbols symbols GLIBCXX "$path"
    break
done
have openssl && tell openssl first openssl version

if [ "${1:-}" = brief ]; then
    printf 'end\tyes\n'
    exit 0
fi

# Packages.
if have dpkg; then
    tell dpkg.version first dpkg --version
    tell dpkg.architecture dpkg --print-architecture
    tell dpkg.compressors sh -c 'dpkg-deb --help | sed -n "s/.*[Aa]llowed types: *//p"'
fi
if have rpm; then
    tell rpm.version first rpm --version
    tell rpm.architecture rpm -E '%_arch'
    tell rpm.features sh -c 'rpm --showrc | grep -oE "rpmlib\([A-Za-z]+\)" | sort -u'
    tell rpm.packages rpm -q --qf '%{NAME}-%{VERSION}-%{RELEASE}\n' glibc libstdc++ openssl-libs systemd rpm python3
fi
if have dpkg-query; then
    # shellcheck disable=SC2016
    tell deb.packages dpkg-query -W -f '${Package} ${Version}\n' libc6 libstdc++6 systemd dpkg python3
fi
[ ! -x /usr/bin/python3 ] || tell python first /usr/bin/python3 --version
have java && tell java first java -version
have node && tell node first node --version
have gcc && tell gcc first gcc -dumpfullversion -dumpversion
have systemctl && tell systemd first systemctl --version

# Settings that programs meet.
for name in kernel/randomize_va_space kernel/unprivileged_userns_clone kernel/seccomp/actions_avail kernel/pid_max kernel/yama/ptrace_scope \
    user/max_user_namespaces vm/overcommit_memory vm/max_map_count vm/mmap_min_addr fs/file-max fs/nr_open net/core/somaxconn; do
    tell "sysctl.$name" cat "/proc/sys/$name"
done
tell security cat /sys/kernel/security/lsm
tell hugepages cat /sys/kernel/mm/transparent_hugepage/enabled
printf 'end\tyes\n'
