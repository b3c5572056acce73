import { createHash, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { EnrolError } from './enrol-error.ts';

const TIMEOUT_MS = 15_000;

/**
 * Looks at the chain that the server presents and returns the CA of the pin, PEM. Sends nothing but the handshake.
 * The CA must have signed the server's own certificate; that it is valid for the host is checked again when it is used.
 */
export async function pinnedCa(host: string, port: number, caSha256: string): Promise<string> {
  const chain = await presentedChain(host, port);
  const ca = chain.find((certificate) => sha256Of(certificate) === caSha256);
  const leaf = chain[0];
  if (!ca || !leaf)
    throw new EnrolError(
      'untrusted',
      `Cannot trust ${host}:${port}: none of its ${chain.length} certificates is the CA of the join string; check that the join string is this server's`,
    );
  if (!leaf.checkIssued(ca) || !leaf.verify(ca.publicKey))
    throw new EnrolError(
      'untrusted',
      `Cannot trust ${host}:${port}: its certificate is not signed by the CA of the join string`,
    );
  return ca.toString();
}

function presentedChain(host: string, port: number): Promise<X509Certificate[]> {
  return new Promise((resolve, reject) => {
    const fail = (what: string) => {
      socket.destroy();
      reject(
        new EnrolError(
          'unreachable',
          `Cannot reach ${host}:${port}: ${what}; check the address and that the server runs`,
        ),
      );
    };
    const servername = isIP(host) ? '' : host;
    // Nothing is sent over this connection: it only shows the chain, which is then held against the pin.
    const socket: TLSSocket = connect({ host, port, servername, ca: [], rejectUnauthorized: false }, () => {
      const chain: X509Certificate[] = [];
      let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      while (next?.raw) {
        chain.push(new X509Certificate(next.raw));
        next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
      }
      socket.destroy();
      resolve(chain);
    });
    socket.setTimeout(TIMEOUT_MS, () => fail(`no answer for ${TIMEOUT_MS / 1000} s`));
    socket.once('error', (error) => fail(error.message));
  });
}

const sha256Of = (certificate: X509Certificate): string =>
  createHash('sha256').update(certificate.raw).digest('hex');
