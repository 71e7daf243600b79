#!/bin/sh
# Installs the real programs that the integration tests talk to, from Debian's packages. Nothing is started: while packages
# unpack, policy-rc.d forbids it. Exim's package conflicts with Postfix's, so it is only unpacked, into .counterparts/.
# Without root or apt-get it says what is missing and leaves the rest to the tests (which then skip, or fail where
# MAILWYE_REQUIRE_COUNTERPARTS=1).
set -eu
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
unpacked=.counterparts

missing=""
need() { # need PROGRAM PACKAGE…
    program=$1
    shift
    command -v "$program" >/dev/null 2>&1 || missing="$missing $*"
}
need postfix postfix
need smtp-sink postfix
need dovecot dovecot-core
[ -x /usr/lib/dovecot/lmtp ] || missing="$missing dovecot-lmtpd"
[ -x /usr/lib/dovecot/imap ] || missing="$missing dovecot-imapd"
need nsd nsd
need unbound unbound
need swaks swaks libnet-ssleay-perl
need testssl testssl.sh
need pebble pebble
need certbot certbot
need strace strace
need faketime faketime
need nmap nmap
need xfs_io xfsprogs
need mkfs.ext4 e2fsprogs
need systemd-analyze systemd
exim_missing=""
[ -x "$unpacked/exim/usr/sbin/exim4" ] || exim_missing=yes

# A reader of TLS reports, in an environment of its own.
parsedmarc=$unpacked/parsedmarc
if [ ! -x "$parsedmarc/bin/parsedmarc" ]; then
    { python3 -m venv "$parsedmarc" && "$parsedmarc/bin/pip" install -q --disable-pip-version-check 'parsedmarc>=11.1,<12'; } ||
        { rm -rf "$parsedmarc"; echo "counterparts: parsedmarc could not be installed"; }
fi

if [ -z "$missing$exim_missing" ] && id Debian-exim >/dev/null 2>&1; then
    echo "counterparts: all here"
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "counterparts: missing:$missing ${exim_missing:+exim4-daemon-light}; to install them run this as root on Debian: sh tests/counterparts/install.sh"
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT INT TERM
fi
apt-get update -qq
if [ -n "$missing" ]; then
    echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
    # shellcheck disable=SC2086 # a list of package names
    apt-get install -y -qq --no-install-recommends $missing
fi
if [ -n "$exim_missing" ]; then
    rm -rf "$unpacked/exim" "$unpacked/packages"
    mkdir -p "$unpacked/exim" "$unpacked/packages"
    # The libraries that Exim needs, but not Exim itself: its dependencies without the mail server packages.
    libraries=$(apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances exim4-daemon-light |
        sed -n 's/^ *|\{0,1\}Depends: \(lib[^ ]*\)$/\1/p')
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $libraries
    chmod 777 "$unpacked/packages" # apt's own user writes there
    (cd "$unpacked/packages" && apt-get download -qq exim4-daemon-light exim4-base)
    for package in "$unpacked"/packages/*.deb; do dpkg -x "$package" "$unpacked/exim"; done
fi
# Debian builds Exim to look for this user when it starts, whatever its configuration says.
id Debian-exim >/dev/null 2>&1 || useradd --system --no-create-home --user-group --shell /usr/sbin/nologin Debian-exim
echo "counterparts: installed"
