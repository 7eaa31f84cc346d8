import { ECANCELED, EEXIST, EIO, ENOSPC } from '@oriel/sys';
import { expect } from 'chai';
import { PAGE, setUp } from './helpers.ts';

describe('BackendRegion', () => {
  describe('replacement, where the front-end replaces', () => {
    it('replaces an equal live range by one MAP', () => {
      const { region, transport, map, told, ledger, sent } = setUp({ overlap: 'replace', maxMappings: 1 });
      map('old', 0, 2);
      transport.answer();
      map('new', 0, 2);
      transport.answer();
      expect(told).to.deep.equal(['old 0', 'new 0']);
      expect(ledger()).to.deep.equal(['new@0+2 live']);
      expect(sent()).to.deep.equal(['map 0+2', 'map 0+2']);
      expect(region.stats).to.deep.equal({ mapped: 1, mappedBytes: 2 * PAGE, maps: 2, unmaps: 0, refused: 0 });
    });

    it('refuses any other overlap, and a second replacement', () => {
      const { transport, map, told } = setUp({ overlap: 'replace' });
      map('old', 0, 2);
      map('early', 0, 2);
      transport.answer();
      map('part', 0, 1);
      map('more', 0, 3);
      map('new', 0, 2);
      map('newer', 0, 2);
      transport.answerAll();
      expect(told).to.deep.equal([
        `early ${-EEXIST}`,
        'old 0',
        `part ${-EEXIST}`,
        `more ${-EEXIST}`,
        `newer ${-EEXIST}`,
        'new 0',
      ]);
    });

    it('keeps the old mapping when the new one is refused', () => {
      const { region, transport, map, told, ledger } = setUp({ overlap: 'replace' });
      map('old', 0, 2);
      transport.answer();
      map('new', 0, 2);
      expect(ledger()).to.deep.equal(['new@0+2 mapping']);
      expect(region.stats.mapped).to.equal(1);
      transport.answer(-EIO);
      expect(told).to.deep.equal(['old 0', `new ${-EIO}`]);
      expect(ledger()).to.deep.equal(['old@0+2 live']);
      expect(region.stats.mapped).to.equal(1);
    });

    it('unmaps the old owner, whether the replacement succeeds or not', () => {
      for (const [error, state, messages] of [
        [0, ['new@0+2 live'], ['map 0+2', 'map 0+2']],
        [-EIO, [], ['map 0+2', 'map 0+2', 'unmap 0+2']],
      ] as const) {
        const { region, transport, map, told, tell, ledger, sent } = setUp({ overlap: 'replace' });
        const old = {};
        map('old', 0, 2, { owner: old });
        transport.answer();
        map('new', 0, 2);
        region.unmapOwner(old, tell('u'));
        expect(told).to.deep.equal(['old 0']);
        transport.answer(error);
        transport.answerAll();
        expect(told.slice(1)).to.have.members([`new ${error}`, 'u 0']);
        expect(ledger()).to.deep.equal(state);
        expect(sent()).to.deep.equal(messages);
      }
    });

    it('waits for the answer to the replacement before it unmaps the old', () => {
      const { region, transport, map, tell, ledger, sent } = setUp({ overlap: 'replace', maxInFlight: 2 });
      const old = {};
      map('old', 0, 2, { owner: old });
      transport.answer();
      map('new', 0, 2);
      region.unmapOwner(old, tell('u'));
      expect(sent()).to.deep.equal(['map 0+2', 'map 0+2']);
      transport.answerAll();
      expect(sent()).to.deep.equal(['map 0+2', 'map 0+2']);
      expect(ledger()).to.deep.equal(['new@0+2 live']);
    });

    it('takes no map for a place to which the old may come back', () => {
      const { region, transport, map, told, tell, ledger } = setUp({ overlap: 'replace' });
      const [first, second] = [{}, {}];
      map('old', 0, 2, { owner: first });
      transport.answer();
      map('new', 0, 2, { owner: second });
      region.unmapOwner(second, tell('u'));
      map('part', 1, 1);
      map('equal', 0, 2);
      expect(told.slice(1)).to.deep.equal(['part -17', 'equal -17']);
      transport.answer(-EIO);
      expect(ledger()).to.deep.equal(['old@0+2 live']);
      map('apart', 4, 1);
      transport.answerAll();
      expect(told.slice(3)).to.deep.equal(['u 0', 'new -5', 'apart 0']);
    });

    it('counts the old as long as it may come back', () => {
      const { region, transport, map, told, tell } = setUp({ overlap: 'replace', maxMappings: 1 });
      const [first, second] = [{}, {}];
      map('old', 0, 1, { owner: first });
      transport.answer();
      map('new', 0, 1, { owner: second });
      region.unmapOwner(second, tell('u'));
      map('apart', 4, 1);
      expect(told.slice(1)).to.deep.equal([`apart ${-ENOSPC}`]);
      region.unmapOwner(first, tell('v'));
      map('again', 4, 1);
      transport.answerAll();
      expect(told.slice(2)).to.have.members(['u 0', 'v 0', 'new 0', 'again 0']);
    });

    it('unmaps nothing across a mapping that took the place of one that was to go', () => {
      const { region, transport, map, tell, ledger, sent } = setUp({ overlap: 'replace', unmap: 'range' });
      const owner = {};
      for (const page of [0, 1, 2]) {
        map(`old${page}`, page, 1, { owner });
      }
      transport.answerAll();
      map('new', 1, 1);
      region.unmapOwner(owner, tell('u'));
      transport.answerAll();
      expect(sent().slice(4)).to.deep.equal(['unmap 0+1', 'unmap 2+1']);
      expect(ledger()).to.deep.equal(['new@1+1 live']);
    });

    it('counts a range that will be replaced once, and again when the replacement is cancelled', () => {
      const { region, transport, map, told, tell } = setUp({ overlap: 'replace', maxMappings: 3 });
      const owner = {};
      map('old', 0, 1);
      transport.answer();
      map('busy', 8, 1);
      map('new', 0, 1, { owner });
      map('third', 9, 1);
      map('fourth', 10, 1);
      expect(told).to.deep.equal(['old 0', `fourth ${-ENOSPC}`]);
      region.unmapOwner(owner, tell('u'));
      map('fourth', 10, 1);
      expect(told.slice(2)).to.deep.equal([`new ${-ECANCELED}`, 'u 0', `fourth ${-ENOSPC}`]);
      transport.answerAll();
      expect(region.stats.mapped).to.equal(3);
    });

    it('cancels a replacement that was not sent and unmaps the old', () => {
      const { transport, map, unmap, told, ledger, sent } = setUp({ overlap: 'replace' });
      map('old', 0, 2);
      transport.answer();
      map('busy', 8, 1);
      map('new', 0, 2);
      unmap('u', 0, 2);
      transport.answerAll();
      expect(told).to.deep.equal(['old 0', `new ${-ECANCELED}`, 'busy 0', 'u 0']);
      expect(ledger()).to.deep.equal(['busy@8+1 live']);
      expect(sent()).to.deep.equal(['map 0+2', 'map 8+1', 'unmap 0+2']);
    });
  });
});
