import { isOpaque, type LayerNode, nodeAt } from '../core/layer-node.ts';
import { type ReadContent, readRange } from '../erofs/content.ts';

/** An account file larger than this is none. */
const ACCOUNT_BYTES = 1024 * 1024;

/** A layer's own copies of the account files; null where it says nothing of them, "" where it removes them. */
export interface LayerAccounts {
  passwd: string | null;
  group: string | null;
}

export async function readAccounts(root: LayerNode, read: ReadContent): Promise<LayerAccounts> {
  return {
    passwd: await accountFile(root, 'etc/passwd', read),
    group: await accountFile(root, 'etc/group', read),
  };
}

async function accountFile(root: LayerNode, path: string, read: ReadContent): Promise<string | null> {
  const [folder, file] = [nodeAt(root, 'etc'), nodeAt(root, path)];
  if (file?.type === 'file' && file.content.sizeBytes <= ACCOUNT_BYTES)
    return (await readRange(file.content, 0, file.content.sizeBytes, read)).toString('utf8');
  const isHidden = file !== undefined || (folder !== undefined && folder.type !== 'dir');
  return isHidden || [root, folder].some((node) => node !== undefined && isOpaque(node)) ? '' : null;
}
