import { isOpaque, isWhiteout, type LayerNode, OPAQUE_XATTR, whiteout } from './layer-node.ts';
import type { LayerTree } from './layer-tree.ts';

/** What overlayfs shows of a layer over others: nodes are shared, none is changed. */
export function mergeLayers(below: LayerNode | undefined, layer: LayerNode): LayerNode {
  const under = below?.type === 'dir' && !isOpaque(layer) ? below : undefined;
  const children = new Map(under?.children);
  for (const [name, node] of layer.children) {
    if (isWhiteout(node)) children.delete(name);
    else children.set(name, node.type === 'dir' ? mergeLayers(children.get(name), node) : node);
  }
  return { ...layer, xattrs: withoutOpaque(layer.xattrs), children };
}

/** Whether what lies below a layer has a say in it: it removes something, or does not describe a folder it needs. */
export const dependsOnBelow = ({ root, implicit }: LayerTree): boolean =>
  implicit.length > 0 || isOpaque(root) || hasWhiteout(root);

const hasWhiteout = (node: LayerNode): boolean =>
  isWhiteout(node) || [...node.children.values()].some(hasWhiteout);

/**
 * Leaves out the whiteouts that hide nothing, which overlayfs would list in a folder that only one layer has; and gives
 * folders that the tar does not describe what the layers below say of them. Changes the tree. Gives a fault, or nothing.
 */
export function settle({ root, implicit }: LayerTree, below: LayerNode | undefined): string | undefined {
  if (isOpaque(root)) hideAll(root, below?.children ?? new Map());
  return settleFolder(root, below, '', new Set(implicit));
}

/** overlayfs pays no heed to an opaque root: what it hides is hidden one by one. */
function hideAll(root: LayerNode, below: ReadonlyMap<string, LayerNode>): void {
  root.xattrs = withoutOpaque(root.xattrs);
  for (const name of below.keys()) {
    const own = root.children.get(name);
    if (!own) root.children.set(name, whiteout());
    else if (own.type === 'dir') own.xattrs = new Map([...own.xattrs, [OPAQUE_XATTR, 'y']]);
  }
}

const withoutOpaque = (xattrs: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...xattrs].filter(([name]) => name !== OPAQUE_XATTR));

function settleFolder(
  folder: LayerNode,
  below: LayerNode | undefined,
  path: string,
  implicit: ReadonlySet<string>,
): string | undefined {
  if (implicit.has(path) && below) {
    if (below.type !== 'dir')
      return `puts files below "${path}", which is a ${below.type} in the layers below; the tar must say what becomes of it`;
    const { mode, uid, gid } = below;
    // Nobody looks at the root's time, and without it a layer is the same blob upon other bases.
    const mtime = path === '' ? folder.mtime : below.mtime;
    Object.assign(folder, { mode, uid, gid, mtime, xattrs: new Map([...below.xattrs, ...folder.xattrs]) });
  }
  const under = below?.type === 'dir' && !isOpaque(folder) ? below.children : undefined;
  for (const [name, node] of folder.children) {
    const beneath = under?.get(name);
    if (isWhiteout(node) && !beneath) folder.children.delete(name);
    const fault =
      node.type === 'dir'
        ? settleFolder(node, beneath, path === '' ? name : `${path}/${name}`, implicit)
        : undefined;
    if (fault !== undefined) return fault;
  }
  return undefined;
}
