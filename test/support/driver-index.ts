import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuiltBoard } from '../../boards/builder/build-board.ts';
import type { Dependencies } from '../../boards/builder/kernel-modules.ts';
import { isEnabled, type TreeNode, wordsOf } from './device-tree.ts';

interface Driver {
  /** Undefined: part of the kernel. */
  module: string | undefined;
  pattern: RegExp;
}

/** Which of a kernel's drivers claim a device of a device tree, out of its modules and of itself. */
export class DriverIndex {
  readonly dependencies: Dependencies;
  readonly #drivers: Driver[];

  private constructor(dependencies: Dependencies, drivers: Driver[]) {
    this.dependencies = dependencies;
    this.#drivers = drivers;
  }

  static async of({ packages }: BuiltBoard): Promise<DriverIndex> {
    const above = join(packages, '..');
    const { version, dependencies } = JSON.parse(await readFile(join(above, 'modules.json'), 'utf8'));
    const modules = await readFile(join(above, 'modules.alias'), 'utf8');
    const builtIn = await readFile(
      join(packages, 'usr/lib/modules', version, 'modules.builtin.modinfo'),
      'utf8',
    );
    const drivers = [
      ...[...modules.matchAll(/^alias (of:\S+) (\S+)$/gm)].map(([, alias = '', module]) => ({
        module,
        pattern: asRegex(alias),
      })),
      ...[...builtIn.matchAll(/[^\0]+?\.alias=(of:[^\0]+)/g)].map(([, alias = '']) => ({
        module: undefined,
        pattern: asRegex(alias),
      })),
    ];
    return new DriverIndex(new Map(dependencies), drivers);
  }

  /** Modules that drive a device; none where the kernel does it itself, or nobody does. */
  modulesOf(node: TreeNode): string[] {
    const claims = this.#claims(node);
    return claims.flatMap(({ module }) => module ?? []);
  }

  /** The devices of `nodes` that only a module drives, which is not in `loaded`. */
  missing(nodes: readonly TreeNode[], loaded: ReadonlySet<string>): string[] {
    return nodes.filter(isEnabled).flatMap((node) => {
      const claims = this.#claims(node);
      const isDriven = claims.some(({ module }) => module === undefined || loaded.has(module));
      return claims.length === 0 || isDriven ? [] : [`${node.path}: ${this.modulesOf(node).join(' or ')}`];
    });
  }

  #claims(node: TreeNode): Driver[] {
    const ids = wordsOf(node, 'compatible').map((compatible) => `of:NnodeT(null)C${compatible}`);
    return this.#drivers.filter(({ pattern }) => ids.some((id) => pattern.test(id)));
  }
}

/** A pattern of modules.alias: only "*" is special in those of device trees. */
const asRegex = (alias: string): RegExp =>
  new RegExp(`^${alias.replaceAll(/[.+^${}()|[\]\\?]/g, '\\$&').replaceAll('*', '.*')}$`);
