import { expect } from 'chai';
import { EBADF, EFAULT, ENOTTY, openSys } from '../src/index.ts';
import { mockSys } from '../src/testing/index.ts';
import { checkLeaks } from './leaks.ts';

/** asm-generic/ioctls.h: bytes that wait in a pipe, into an int. */
const FIONREAD = 0x541b;

describe('SysDrm', () => {
  checkLeaks();
  const sys = openSys();

  it('hands a structure to the driver and brings it back', () => {
    const ends = new Int32Array(2);
    expect(sys.fd.pipe(ends)).to.equal(0);
    expect(sys.fd.write(ends[1]!, new Uint8Array(5), 5)).to.equal(5);
    const argument = new Uint32Array(1);
    expect(sys.drm.ioctl(ends[0]!, FIONREAD, argument)).to.equal(0);
    expect(argument[0]).to.equal(5);
    expect(sys.drm.ioctl(ends[0]!, FIONREAD, 1)).to.equal(-EFAULT);
    expect(sys.drm.ioctl(ends[0]!, 0x6442, argument)).to.equal(-ENOTTY);
    sys.fd.close(ends[0]!);
    sys.fd.close(ends[1]!);
  });

  it('answers with errnos', () => {
    expect(sys.drm.ioctl(-1, FIONREAD, new Uint32Array(1))).to.equal(-EBADF);
    const mock = mockSys();
    mock.failNext('drm.ioctl', EFAULT);
    expect(mock.drm.ioctl(0, FIONREAD, 0)).to.equal(-EFAULT);
  });
});
