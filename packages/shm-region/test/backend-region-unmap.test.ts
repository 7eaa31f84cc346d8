import { ECANCELED, EINVAL, EIO } from '@oriel/sys';
import { expect } from 'chai';
import { PAGE, setUp } from './helpers.ts';

describe('BackendRegion', () => {
  describe('unmap', () => {
    it('names each mapping exactly, and occupies its range until the answer', () => {
      const { region, transport, map, unmap, told, ledger, sent } = setUp();
      map('a', 0, 2, { fdOffset: 3 * PAGE });
      map('b', 2, 2);
      transport.answerAll();
      told.length = 0;
      unmap('u', 0, 16);
      expect(ledger()).to.deep.equal(['a@0+2 unmapping', 'b@2+2 unmapping']);
      expect(region.stats.mapped).to.equal(2);
      expect(transport.inFlight[0]?.wire).to.deep.equal({
        shmid: 1,
        fdOffset: 3 * PAGE,
        shmOffset: 0,
        len: 2 * PAGE,
        writable: true,
      });
      transport.answer();
      expect(told).to.deep.equal([]);
      expect(ledger()).to.deep.equal(['b@2+2 unmapping']);
      transport.answer();
      expect(told).to.deep.equal(['u 0']);
      expect(sent().slice(2)).to.deep.equal(['unmap 0+2', 'unmap 2+2']);
      expect(region.stats).to.deep.equal({ mapped: 0, mappedBytes: 0, maps: 2, unmaps: 2, refused: 0 });
    });

    it('leaves what lies only partly inside', () => {
      const { transport, map, unmap, told, ledger } = setUp();
      map('a', 0, 4);
      map('b', 4, 2);
      transport.answerAll();
      unmap('u', 2, 4);
      transport.answerAll();
      expect(told.at(-1)).to.equal('u 0');
      expect(ledger()).to.deep.equal(['a@0+4 live']);
    });

    it('answers at once when nothing is there, and refuses ranges outside', () => {
      const { region, unmap, told, tell } = setUp();
      unmap('none', 0, 16);
      region.unmapOwner({}, tell('owner'));
      region.unmapAll(tell('all'));
      unmap('outside', 15, 2);
      unmap('empty', 0, 0);
      region.unmap(100, PAGE, tell('unaligned'));
      region.unmap(Number.NaN, PAGE, tell('nan'));
      expect(told).to.deep.equal([
        'none 0',
        'owner 0',
        'all 0',
        `outside ${-EINVAL}`,
        `empty ${-EINVAL}`,
        `unaligned ${-EINVAL}`,
        `nan ${-EINVAL}`,
      ]);
      expect(region.stats.refused).to.equal(4);
    });

    it('makes a map over the range wait instead of refusing it', () => {
      const { transport, map, unmap, told, ledger, sent } = setUp({ maxInFlight: 8 });
      map('a', 0, 4);
      transport.answer();
      unmap('u', 0, 4);
      map('b', 1, 2);
      map('c', 8, 1);
      expect(sent()).to.deep.equal(['map 0+4', 'unmap 0+4']);
      expect(ledger()).to.deep.equal(['a@0+4 unmapping', 'b@1+2 mapping', 'c@8+1 mapping']);
      transport.answerAll();
      expect(sent()).to.deep.equal(['map 0+4', 'unmap 0+4', 'map 1+2', 'map 8+1']);
      expect(told).to.deep.equal(['a 0', 'u 0', 'b 0', 'c 0']);
    });

    it('joins an unmap that is on its way', () => {
      const { region, transport, map, unmap, told, tell, sent } = setUp();
      map('a', 0, 1);
      transport.answer();
      unmap('u1', 0, 1);
      unmap('u2', 0, 4);
      region.unmapAll(tell('u3'));
      expect(told).to.deep.equal(['a 0']);
      transport.answerAll();
      expect(told).to.deep.equal(['a 0', 'u1 0', 'u2 0', 'u3 0']);
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1']);
    });

    it('cancels a map that was not sent, and follows one that was', () => {
      const { region, transport, map, told, tell, ledger, sent } = setUp();
      map('a', 0, 1);
      map('b', 1, 1);
      region.unmapAll(tell('u'));
      expect(told).to.deep.equal([`b ${-ECANCELED}`]);
      expect(ledger()).to.deep.equal(['a@0+1 mapping']);
      transport.answer();
      expect(told).to.deep.equal([`b ${-ECANCELED}`, 'a 0']);
      expect(ledger()).to.deep.equal(['a@0+1 unmapping']);
      transport.answer();
      expect(told).to.deep.equal([`b ${-ECANCELED}`, 'a 0', 'u 0']);
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1']);
    });

    it('has nothing to send when the map it follows is refused', () => {
      const { transport, map, unmap, told, sent } = setUp();
      map('a', 0, 1);
      unmap('u', 0, 1);
      map('b', 0, 1);
      transport.answer(-EIO);
      expect(told).to.deep.equal(['u 0', `a ${-EIO}`]);
      transport.answerAll();
      expect(sent()).to.deep.equal(['map 0+1', 'map 0+1']);
      expect(told.at(-1)).to.equal('b 0');
    });

    it('finds the mappings of an owner, wherever they are', () => {
      const { region, transport, map, told, tell, ledger } = setUp();
      const inode = {};
      map('a', 9, 1, { owner: inode });
      map('b', 3, 1);
      map('c', 0, 2, { owner: inode });
      transport.answerAll();
      map('d', 5, 1, { owner: inode });
      map('e', 6, 1, { owner: inode });
      region.unmapOwner(inode, tell('u'));
      transport.answerAll();
      expect(ledger()).to.deep.equal(['b@3+1 live']);
      expect(told.slice(3)).to.deep.equal([`e ${-ECANCELED}`, 'd 0', 'u 0']);
    });

    it('drops a mapping that the front-end does not know, and says so', () => {
      const { region, transport, map, unmap, told, ledger } = setUp();
      map('a', 0, 1);
      map('b', 1, 1);
      transport.answerAll();
      unmap('u', 0, 2);
      transport.answer(-EIO);
      transport.answer();
      expect(told.at(-1)).to.equal(`u ${-EIO}`);
      expect(ledger()).to.deep.equal([]);
      expect(region.stats).to.deep.equal({ mapped: 0, mappedBytes: 0, maps: 2, unmaps: 1, refused: 1 });
    });

    it('names neighbours in one message where any range may be named', () => {
      const { region, transport, map, told, tell, sent } = setUp({ unmap: 'range' });
      map('a', 0, 1);
      map('b', 1, 2);
      map('c', 5, 1);
      transport.answerAll();
      region.unmapAll(tell('u'));
      transport.answerAll();
      expect(sent().slice(3)).to.deep.equal(['unmap 0+3', 'unmap 5+1']);
      expect(told.at(-1)).to.equal('u 0');
      expect(region.stats).to.include({ mapped: 0, unmaps: 3 });
    });
  });
});
