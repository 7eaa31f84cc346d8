import { BlockingLoop, check, EPOLLIN, Fd, openSys } from '@oriel/sys';
import { BackendConnection, FeatureSet, frontendName, profiles } from './zz-imports.ts';
import { RecordingHandler } from './support/recording-handler.ts';
const sys = openSys();
using loop = new BlockingLoop(sys);
class H extends RecordingHandler {
  override disconnected(reason: string): void { super.disconnected(reason); console.log(this.take()); loop.stop(); }
}
const handler = new H();
handler.features = FeatureSet.of(28, 29, 32);
handler.shmRegions = process.argv[3] === 'fs' ? [] : [{ shmid: 0, size: 1 << 20 }];
using l = new Fd(sys.fd, check(sys.socket.listenUnix(process.argv[2]!, 0o600, -1, 1), 'listen'));
const log = { error: console.log, warn: console.log, info: console.log, debug: console.log, trace: console.log } as never;
let b: BackendConnection;
using w = loop.watch(l.fd, EPOLLIN, () => {
  const socket = new Fd(sys.fd, check(sys.socket.accept(l.fd), 'accept'));
  b = new BackendConnection({ sys, loop, socket, profile: profiles.qemu, handler, log });
  loop.timer(4000, () => { console.log('protocol', b.acceptedProtocolFeatures.bits().join(' ')); });
});
loop.run();
void frontendName;
