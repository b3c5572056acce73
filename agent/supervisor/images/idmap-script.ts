/**
 * Arguments: first host id, number of ids, then pairs of source and target. The user namespace that holds the mapping
 * lives as long as `cat` and the mounts. The three system calls have these numbers on every architecture. In
 * TypeScript, so that the bundled agent is one file.
 */
export const IDMAP_SCRIPT = String.raw`
use strict;
my ($base, $size, @pairs) = @ARGV;
my $own = readlink('/proc/self/ns/user');
my $pid = open(my $holder, '|-', 'unshare', '--user', 'cat') or die "unshare: $!\n";
for (1 .. 5000) {
  my $its = readlink("/proc/$pid/ns/user");
  last if defined $its && $its ne $own;
  select(undef, undef, undef, 0.001);
}
for my $map ('uid_map', 'gid_map') {
  open(my $file, '>', "/proc/$pid/$map") or die "$map: $!\n";
  print $file "0 $base $size\n";
  close($file) or die "$map: $!\n";
}
open(my $namespace, '<', "/proc/$pid/ns/user") or die "user namespace: $!\n";
my $empty = "\0";
while (my ($source, $target) = splice(@pairs, 0, 2)) {
  my ($from, $to) = ("$source\0", "$target\0");
  # open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
  my $tree = syscall(428, -100, $from, 0x80001);
  die "open_tree $source: $!\n" if $tree < 0;
  # mount_setattr(tree, "", AT_EMPTY_PATH, { attr_set: MOUNT_ATTR_IDMAP, userns_fd })
  my $attributes = pack('QQQQ', 0x100000, 0, 0, fileno($namespace));
  syscall(442, $tree, $empty, 0x1000, $attributes, 32) == 0 or die "mount_setattr $source: $!\n";
  # move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH)
  syscall(429, $tree, $empty, -100, $to, 4) == 0 or die "move_mount $target: $!\n";
}
`;
