import * as S from '../src/index.ts';
import { leakCheck, mockSys } from '../src/testing/index.ts';
const sys = S.openSys();
const leaks = leakCheck();
const enc = (s: string) => new TextEncoder().encode(s + '\0');
{
using m = S.Mapping.anonymous(sys.mem, 65536);
console.log(m.addr, m.u8.length, sys.mem.pageSize);
using fd = new S.Fd(sys.fd, S.check(sys.mem.memfdCreate('x', S.MFD_ALLOW_SEALING|S.MFD_CLOEXEC),'memfd_create'));
console.log(sys.file.ftruncate(fd.fd, 8192), sys.mem.getSeals(fd.fd));
using sm = S.Mapping.shared(sys.mem, fd.fd, 8192, 0, 3);
sm.u8.fill(7);
console.log('copy', sys.mem.copyChecked(m.addr, sm.addr, 8192), m.u8[8191], sys.mem.copyChecked(8, sm.addr, 10), sys.mem.copyChecked(m.addr, 8, 10));
console.log(sys.file.ftruncate(fd.fd, 0), sys.mem.copyChecked(m.addr, sm.addr, 100));
console.log(sys.file.openat(S.AT_FDCWD, enc('/nonexist'), 0, 0), sys.file.openat2(S.AT_FDCWD, enc('/tmp'), S.O_PATH, 0, 0));
sys.fd.close(sys.file.openat(S.AT_FDCWD, enc('/tmp'), 0, 0)-1);
console.log(sys.file.statx(S.AT_FDCWD, enc('/tmp'), 0, S.STATX_BASIC_STATS, m.addr), S.Statx.stxMode.get(new DataView(m.u8.buffer),0).toString(8));
const sp = new Int32Array(2); sys.socket.socketpair(sp);
const rr = sys.socket.makeRecvResult(3);
console.log(sys.socket.sendmsg(sp[0]!, enc('hello'), 5, Int32Array.of(fd.fd, 0), 2), sys.socket.recvmsg(sp[1]!, m.addr, 100, rr), rr);
for (let i=0;i<rr.fdCount;i++) sys.fd.close(rr.fds[i]!);
for (const f of sp) sys.fd.close(f);
const l = sys.socket.listenUnix('/tmp/p/sock', 0o600, -1, 5); console.log('listen', l, sys.socket.isListening(l), sys.socket.listenUnix('/tmp/p/sock', 0o600, -1, 5));
const c = sys.socket.connectUnix('/tmp/p/sock'); const a = sys.socket.accept(l); console.log(c,a);
for (const f of [l,c,a]) sys.fd.close(f);
const l2 = sys.socket.listenUnix('/tmp/p/sock', 0o660, 0, 5); console.log('again', l2); sys.fd.close(l2);
console.log(sys.cred.geteuid(), sys.cred.umask(0o22), sys.loop.nowNs() - Number(process.hrtime.bigint()));
const caps = new Uint32Array(2); console.log(sys.cred.capgetEffective(caps), caps, sys.cred.capsetEffective(caps[0]!, caps[1]!));
}
{
  using loop = new S.BlockingLoop(sys, { spinNs: 20000 });
  using e = new S.Fd(sys.fd, sys.loop.eventfd(0));
  let n = 0;
  using _w = loop.watch(e.fd, S.EPOLLIN | S.EPOLLET, (ev) => { console.log('event', ev); n++; loop.defer(() => console.log('deferred')); if (n===2) loop.stop(); });
  sys.loop.eventfdSignal(e.fd);
  loop.timer(10, () => { console.log('timer'); sys.loop.eventfdSignal(e.fd); });
  loop.run();
  let gone = 0;
  {
  using off = S.openOffload(sys, loop, { onHelperExit: () => { console.log('helper gone'); gone++; } });
  const t = sys.loop.nowNs();
  off.submit(S.SYS.fsync, [999], (r) => { console.log('fsync', r, (sys.loop.nowNs()-t)/1e6); loop.stop(); });
  loop.run();
  off.submit(S.SYS.geteuid, [], (r) => { console.log('euid', r, off.pending); });
  off.drain();
  console.log('drained');
  }
  await new Promise(r => setTimeout(r, 200));
}
const nl = new S.NodeLoop(sys);
const e = sys.loop.eventfd(0);
const w = nl.watch(e, S.EPOLLIN, (ev) => { console.log('node event', ev, sys.loop.eventfdDrain(e)); Promise.resolve().then(() => console.log('microtask')); nl.defer(() => console.log('node defer')); });
nl.timer(20, () => { console.log('node timer'); nl.stop(); });
nl.run();
sys.loop.eventfdSignal(e);
await new Promise(r => setTimeout(r, 60));
w[Symbol.dispose](); nl[Symbol.dispose](); sys.fd.close(e);
try { leaks.check(); } catch (err) { console.log((err as Error).message); }
const mock = mockSys(); mock.failNext('mem.mmap', S.ENOMEM);
try { S.Mapping.anonymous(mock.mem, 4096); } catch (err) { console.log(err, mock.calls); }
console.log(S.escapeBytes(enc('a\\b\n')));
