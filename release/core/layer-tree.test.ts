import { expect, test } from 'vitest';
import { isOpaque, isWhiteout, type LayerNode, nodeAt, plainFolder } from './layer-node.ts';
import { dependsOnBelow, mergeLayers, settle } from './layer-stack.ts';
import { type LayerEntry, type LayerTree, layerTree } from './layer-tree.ts';

const { children: _children, ...plain } = plainFolder();
const entry = (path: string, more: Partial<LayerEntry> = {}): LayerEntry => ({
  ...plain,
  path,
  type: 'file',
  linkPath: '',
  ...more,
});
const dir = (path: string, more: Partial<LayerEntry> = {}) => entry(path, { type: 'dir', ...more });

function treeOf(...entries: LayerEntry[]): LayerTree {
  const tree = layerTree(entries);
  if (!tree.ok) throw new Error(tree.fault);
  return tree;
}
const faultOf = (...entries: LayerEntry[]): string => {
  const tree = layerTree(entries);
  return tree.ok ? '' : tree.fault;
};
const at = ({ root }: LayerTree, path: string): LayerNode | undefined => nodeAt(root, path);

test('a whiteout stands for what is below only, wherever it comes in the tar', () => {
  const tree = treeOf(entry('.wh.a'), entry('a'), entry('b'), entry('.wh.b'), entry('.wh.c'));
  expect(['a', 'b'].map((path) => at(tree, path)?.type)).toEqual(['file', 'file']);
  expect(isWhiteout(at(tree, 'c') as LayerNode)).toBe(true);
});

test('a folder that is removed and made again hides what it held', () => {
  const tree = treeOf(dir('d'), entry('d/new'), entry('.wh.d'), entry('e/.wh..wh..opq'));
  expect(['d', 'e'].map((path) => isOpaque(at(tree, path) as LayerNode))).toEqual([true, true]);
});

test('bookkeeping of AUFS is no content', () => {
  const tree = treeOf(dir('.wh..wh.plnk'), entry('.wh..wh.plnk/1.2'), entry('.wh..wh.aufs'), entry('f'));
  expect([...tree.root.children.keys()]).toEqual(['f']);
});

test('a hard link is the same node as its target, even when that is replaced later', () => {
  const tree = treeOf(
    entry('a', { mode: 0o600 }),
    entry('b', { type: 'hardlink', linkPath: 'a' }),
    entry('a'),
  );
  expect([at(tree, 'b')?.mode, at(tree, 'a')?.mode]).toEqual([0o600, 0o755]);
});

test.each([
  ['an absolute path', [entry('/etc/passwd')], 'is an absolute path'],
  ['a climbing path', [entry('a/../../b')], 'climbs with ".."'],
  ['a climbing hard link', [entry('a', { type: 'hardlink', linkPath: '../b' })], 'climbs with ".."'],
  [
    'a hard link to nothing',
    [entry('a', { type: 'hardlink', linkPath: 'b' })],
    'no earlier file of its layer',
  ],
  ['a hard link to a folder', [dir('d'), entry('a', { type: 'hardlink', linkPath: 'd' })], 'no earlier file'],
  [
    'a file below a link',
    [entry('l', { type: 'symlink', target: '/' }), entry('l/f')],
    'lies below "l", which is no folder',
  ],
  [
    'a whiteout below a link',
    [entry('l', { type: 'symlink', target: '/' }), entry('l/.wh.f')],
    'lies below "l"',
  ],
  ['a file below a whiteout', [entry('.wh.d/f')], 'lies below a whiteout'],
  ['a whiteout of nothing', [entry('d/.wh.')], 'is a whiteout of nothing'],
  ['a root that is no folder', [entry('')], 'would take the place of the root folder'],
  ['a name that no file system holds', [entry('n'.repeat(256))], 'has a name of 256 bytes'],
  ['a path that no program can say', [entry('n/'.repeat(2048))], 'has a path of 4096 bytes'],
  ['an owner that is none', [entry('f', { uid: 0xffff_ffff })], 'belongs to 4294967295:0'],
  ['a link to nothing', [entry('l', { type: 'symlink', target: '' })], 'is a link to 0 bytes'],
  [
    'an xattr that is too large',
    [entry('f', { xattrs: new Map([['user.a', 'x'.repeat(65_536)]]) })],
    'has an xattr of 6 and 65536',
  ],
])('%s is refused by name', (_, entries, words) => {
  expect(faultOf(...entries)).toContain(words);
});

test('xattrs of the machine that wrote the tar are left out and named', () => {
  const given = [
    'trusted.overlay.redirect',
    'security.selinux',
    'user.a',
    'security.capability',
    'system.posix_acl_access',
  ];
  const tree = treeOf(entry('f', { xattrs: new Map(given.map((name) => [name, 'v'])) }));
  expect([...(at(tree, 'f')?.xattrs.keys() ?? [])]).toEqual(given.slice(2));
  expect(tree.leftOut).toEqual(['security.selinux', 'trusted.overlay.redirect']);
});

test('upon other layers a layer loses whiteouts that hide nothing, and its undescribed folders are theirs', () => {
  const below = mergeLayers(
    treeOf(dir('', { uid: 9 }), dir('tmp', { mode: 0o1777 }), entry('a'), entry('b')).root,
    treeOf(dir('', { uid: 9 }), entry('.wh.b')).root,
  );
  const tree = treeOf(entry('tmp/f'), entry('.wh.a'), entry('.wh.b'), entry('new/.wh.x'));
  expect(dependsOnBelow(tree)).toBe(true);
  expect(settle(tree, below)).toBeUndefined();
  expect([tree.root.uid, at(tree, 'tmp')?.mode, at(tree, 'new')?.mode]).toEqual([9, 0o1777, 0o755]);
  expect(['a', 'b', 'new/x'].map((path) => at(tree, path) !== undefined)).toEqual([true, false, false]);
});

test('a layer that describes all it has is the same upon any other', () => {
  expect(dependsOnBelow(treeOf(dir(''), dir('d'), entry('d/f')))).toBe(false);
});

test('below a link of the layers below nothing is put', () => {
  const below = treeOf(dir('usr'), entry('bin', { type: 'symlink', target: 'usr' })).root;
  expect(settle(treeOf(entry('bin/new')), below)).toContain('puts files below "bin", which is a symlink');
});

test('what overlayfs shows of layers: opaque folders begin anew, a file hides a folder', () => {
  const below = treeOf(dir('o'), entry('o/old'), dir('m'), entry('m/old'), dir('f'), entry('f/x')).root;
  const { root } = {
    root: mergeLayers(
      below,
      treeOf(dir('o'), entry('o/.wh..wh..opq'), entry('o/new'), entry('m/new'), entry('f')).root,
    ),
  };
  const names = (path: string) => [...(nodeAt(root, path)?.children.keys() ?? [])];
  expect([names('o'), names('m'), nodeAt(root, 'f')?.type]).toEqual([['new'], ['old', 'new'], 'file']);
});
