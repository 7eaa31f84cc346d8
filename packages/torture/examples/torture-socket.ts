/** Tortures whatever listens on a socket, and prints a line for each clause: `node examples/torture-socket.ts SOCKET [PATTERN]`. */
import { openSys } from '@oriel/sys';
import { allClauses, judge, knownDevices, Peer, selectClauses } from '@oriel/torture';

const [socketPath = '/tmp/backend.sock', pattern] = process.argv.slice(2);
const sys = openSys();
using peer = new Peer({ sys, connect: () => sys.socket.connectUnix(socketPath), timeoutMs: 1000 });
const device = knownDevices.find((candidate) => peer.probe(candidate).kind === 'served') ?? null;

for (const clause of selectClauses(allClauses(device), pattern)) {
  const { verdict, detail } = judge(peer.run(clause, device), null);
  console.log(`${verdict} ${clause.id} (${clause.source}) ${detail}`);
  if (verdict === 'HANG' || verdict === 'DEAD') process.exitCode = 1;
}
