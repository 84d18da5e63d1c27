/** What a UML guest needs to know at boot. */
export type GuestBoot = {
  /** Shared with the host, read and write; everything else of the host's files is read-only. */
  readonly dir: string;
  /** Outer interface vec0 and inner interface vec1, with prefix lengths. */
  readonly outerAddress: string;
  readonly innerAddress: string;
};

const MODULES = [
  ...['xfrm_user', 'xfrm4_tunnel', 'tunnel4', 'esp4', 'ah4', 'udp_tunnel'],
  ...['hmac', 'sha512_generic', 'cbc', 'ctr', 'gcm', 'ghash-generic', 'ccm', 'cmac', 'chacha20poly1305'],
  ...['chacha_generic', 'poly1305_generic', 'authenc', 'authencesn', 'echainiv', 'seqiv'],
];

/**
 * The guest's init: a shell script over the host's own files.
 *
 * Modules come straight from /usr/lib/uml, by a folder tree in the guest's own /run, so that nothing
 * has to be linked into the machine's /lib/modules. Commands come over the serial line, one a line,
 * as `ID SHELL-WORDS`; the answer is three files in `dir`.
 */
export function guestInit(boot: GuestBoot): string {
  return `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t hostfs -o '${boot.dir}' none '${boot.dir}'
exec >'${boot.dir}/init.log' 2>&1

mkdir -p /run/root/lib/modules
ln -s "/usr/lib/uml/modules/$(uname -r)" /run/root/lib/modules/
printf '#!/bin/sh\\nexec modprobe -d /run/root "$@"\\n' >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
modprobe -d /run/root -a ${MODULES.join(' ')}

ip link set lo up
ip address add ${boot.outerAddress} dev vec0
ip address add ${boot.innerAddress} dev vec1
ip link set vec0 up
ip link set vec1 up
echo 1 >/proc/sys/net/ipv4/ip_forward

exec 3</dev/ttyS0
stty -echo <&3
cd '${boot.dir}'
touch ready
while read -r id words <&3; do
  (
    eval "$words" >"stdout.$id" 2>"stderr.$id" </dev/null
    echo $? >"status.$id.new"
    mv "status.$id.new" "status.$id"
  ) &
done
`;
}
