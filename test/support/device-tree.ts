/** A node of a flattened device tree (devicetree specification 0.4, chapter 5). */
export interface TreeNode {
  path: string;
  properties: ReadonlyMap<string, Buffer>;
  children: TreeNode[];
}

const MAGIC = 0xd0_0d_fe_ed;
const TOKENS = { begin: 1, end: 2, property: 3, nothing: 4 };
const aligned = (at: number): number => (at + 3) & ~3;

/** The root node of a device tree's file. */
export function parseTree(blob: Buffer): TreeNode {
  if (blob.readUInt32BE(0) !== MAGIC) throw new Error('Cannot read a device tree: it does not begin as one');
  const strings = blob.readUInt32BE(12);
  const textAt = (at: number): string => blob.toString('utf8', at, blob.indexOf(0, at));
  const root: TreeNode = { path: '', properties: new Map(), children: [] };
  const open = [root];
  let at = blob.readUInt32BE(8);
  while (open.length > 0) {
    const token = blob.readUInt32BE(at);
    const node = open.at(-1) ?? root;
    at += 4;
    if (token === TOKENS.begin) {
      const name = textAt(at);
      // The root has an empty name.
      const path = name === '' ? '' : `${node.path}/${name}`;
      const child = { path, properties: new Map(), children: [] };
      node.children.push(child);
      open.push(child);
      at = aligned(at + Buffer.byteLength(name) + 1);
    } else if (token === TOKENS.property) {
      const length = blob.readUInt32BE(at);
      const name = textAt(strings + blob.readUInt32BE(at + 4));
      (node.properties as Map<string, Buffer>).set(name, blob.subarray(at + 8, at + 8 + length));
      at = aligned(at + 8 + length);
    } else if (token === TOKENS.end) {
      open.pop();
      if (open.length === 1) break;
    } else if (token !== TOKENS.nothing)
      throw new Error(`Cannot read a device tree: token ${token} at ${at}`);
  }
  const [top = root] = root.children;
  return top;
}

export const allNodes = (node: TreeNode): TreeNode[] => [node, ...node.children.flatMap(allNodes)];

export const wordsOf = ({ properties }: TreeNode, name: string): string[] =>
  (properties.get(name)?.toString() ?? '').split('\0').filter((word) => word !== '');

export const isEnabled = (node: TreeNode): boolean =>
  ['okay', 'ok', undefined].includes(wordsOf(node, 'status')[0]);

/** Properties that name a provider, and the provider's own property that says how many cells follow its name. */
const PROVIDERS: readonly [RegExp, string | undefined][] = [
  [/^clocks$/, '#clock-cells'],
  [/^dmas$/, '#dma-cells'],
  [/^resets$/, '#reset-cells'],
  [/^power-domains$/, '#power-domain-cells'],
  [/^mboxes$/, '#mbox-cells'],
  [/^phys$/, '#phy-cells'],
  [/^(.*-)?gpios?$/, '#gpio-cells'],
  [/^(pinctrl-\d+|interrupt-parent|msi-parent|mmc-pwrseq|usb-phy|.*-supply)$/, undefined],
];

/** A device, everything above it, and everything that these are provided by, through as many steps as it takes. */
export function withProviders(root: TreeNode, device: TreeNode): TreeNode[] {
  const nodes = allNodes(root);
  const byPath = new Map(nodes.map((node) => [node.path, node]));
  const byPhandle = new Map(nodes.map((node) => [node.properties.get('phandle')?.readUInt32BE(0), node]));
  const found = new Set<TreeNode>();
  const visit = (node: TreeNode | undefined): void => {
    if (node === undefined || found.has(node)) return;
    found.add(node);
    visit(byPath.get(node.path.slice(0, Math.max(node.path.lastIndexOf('/'), 0))));
    for (const [name, value] of node.properties) {
      const [, cells] = PROVIDERS.find(([pattern]) => pattern.test(name)) ?? [];
      if (!PROVIDERS.some(([pattern]) => pattern.test(name))) continue;
      for (let at = 0; at + 4 <= value.length; ) {
        const provider = byPhandle.get(value.readUInt32BE(at));
        visit(provider);
        const behind = cells && provider?.properties.get(cells)?.readUInt32BE(0);
        at += 4 + 4 * Number(behind ?? 0);
      }
    }
  };
  visit(device);
  return [...found];
}
