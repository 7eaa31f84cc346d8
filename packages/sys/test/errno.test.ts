import { expect } from 'chai';
import { describe, it } from 'mocha';
import { check, EAGAIN, EBADF, errnoName, errnoNumber, SysError } from '../src/index.ts';

describe('error numbers', () => {
  it('have their names, and names their numbers', () => {
    expect(errnoName(9)).to.equal('EBADF');
    expect(errnoNumber('EBADF')).to.equal(9);
    expect(EBADF).to.equal(9);
    expect(errnoName(11)).to.equal('EAGAIN');
    expect(EAGAIN).to.equal(11);
  });

  it('without a name are still shown', () => {
    expect(errnoName(4000)).to.equal('ERRNO_4000');
    expect(errnoNumber('ENOTHING')).to.equal(undefined);
  });
});

describe('check', () => {
  it('passes a result through', () => {
    expect(check(0, 'close')).to.equal(0);
    expect(check(17, 'openat')).to.equal(17);
  });

  it('throws a SysError shaped like one of Node', () => {
    expect(() => check(-EBADF, 'close'))
      .to.throw(SysError)
      .that.includes({ name: 'SysError', code: 'EBADF', errno: 9, syscall: 'close' });
  });
});
