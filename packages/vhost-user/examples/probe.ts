/** Connects to a back-end as a front-end and says what it is: `node examples/probe.ts /run/fs.sock`. */
import { BlockingLoop, check, Fd, openSys } from '@oriel/sys';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  FrontendConnection,
  VHOST_USER_PROTOCOL_F_CONFIG,
} from '@oriel/vhost-user';

const path = process.argv[2];
if (path === undefined) throw new Error('usage: probe.ts SOCKET');

const sys = openSys();
using loop = new BlockingLoop(sys);
const socket = new Fd(sys.fd, check(sys.socket.connectUnix(path), 'connect'));
using frontend = new FrontendConnection({ sys, loop, socket });

const want = { features: new FeatureSet(0xffff_ffff, 0xffff_ffff), protocolFeatures: FRONTEND_PROTOCOL_FEATURES };
frontend.wait((done) => frontend.negotiate(want, done));
console.log(`features ${frontend.features.bits().join(' ')}`);
console.log(`protocol features ${frontend.protocolFeatures.bits().join(' ')}`);
console.log(`queues ${frontend.queueCount}`);
for (const { shmid, size } of frontend.shmRegions) console.log(`shared memory region ${shmid}: ${size} bytes`);
if (frontend.protocolFeatures.has(VHOST_USER_PROTOCOL_F_CONFIG)) {
  const config = frontend.wait<Uint8Array>((done) => frontend.getConfig(0, 16, done));
  console.log(`config ${Buffer.from(config).toString('hex')}`);
}
