import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import * as constants from '../src/constants.ts';
import * as layout from '../src/layout.ts';
import { cName } from './c-name.ts';

const fromC = JSON.parse(readFileSync(join(import.meta.dirname, 'layout-c.json'), 'utf8')) as Record<string, number>;

describe('layouts against linux/fuse.h', () => {
  it('come from minor 46', () => {
    expect(fromC['FUSE_KERNEL_VERSION']).to.equal(7);
    expect(fromC['FUSE_KERNEL_MINOR_VERSION']).to.equal(46);
  });

  it('have every size and offset of C', () => {
    const ours: Record<string, number> = {};
    for (const value of Object.values(layout)) {
      if (typeof value === 'object') {
        ours[`sizeof ${value.structName}`] = value.byteLength;
        for (const field of value.fieldNames) {
          const { offset } = (value as unknown as Record<string, { offset: number }>)[field]!;
          ours[`${value.structName}.${cName(value.structName, field)}`] = offset;
        }
      }
    }
    const theirs = Object.fromEntries(Object.entries(fromC).filter(([key]) => /^sizeof |\./.test(key)));
    expect(Object.keys(ours)).to.have.length.above(250);
    expect(ours).to.deep.equal(theirs);
  });

  it('have every constant of C', () => {
    const ours: Record<string, number> = {
      FUSE_COMPAT_SETXATTR_IN_SIZE: layout.FUSE_COMPAT_SETXATTR_IN_SIZE,
    };
    for (const [name, value] of Object.entries(constants)) {
      if (typeof value === 'number') {
        ours[name] = value;
      }
    }
    const theirs = Object.fromEntries(Object.entries(fromC).filter(([key]) => !/^sizeof |\./.test(key)));
    expect(Object.keys(ours)).to.have.length.above(130);
    expect(ours).to.deep.equal(theirs);
  });
});
