/** A Unix socket that waits for one connection. QEMU connects to us, so nobody has to poll for its sockets. */
import { createServer, type Socket } from 'node:net';

/** The first connection to a path; the socket file is gone once it came. */
export interface SingleConnection {
  readonly connected: Promise<Socket>;
  close(): void;
}

/** Listens on `path`; resolves once connections are accepted. */
export async function listenOnce(path: string): Promise<SingleConnection> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  const connected = new Promise<Socket>((resolve) => {
    server.once('connection', (socket) => {
      server.close();
      resolve(socket);
    });
  });
  return { connected, close: () => server.close() };
}
