"""Adaptive mode: the cheapest records that keep the mean IoU at its floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.base import CodecError
from common.codec.contour import fit
from common.codec.contour.fit import Gains
from common.codec.contour.instances import check, clockwise, contours
from common.codec.contour.raster import Ints, Labels, area2
from common.codec.contour.scene import Scene, Track, begin, moved, next_generation
from common.codec.contour.syntax import GRIDS, MAX_TRACKS, MAX_ZOOM, End, Geometry, Key, Move, Point
from common.codec.contour.worth import Measure, counts

MARGIN = 20


@dataclass(frozen=True, slots=True)
class Settings:
    classes: int = 2
    void: int | None = None
    floor: float = 0.85
    period: int = 4
    refresh: int = 8
    worth: float = 20000.0
    key_factor: float = 2.0
    delta_factor: float = 1.0
    closing: int = 9
    grids: tuple[int, ...] = (1, 2)
    gain_up: float = 30.0
    margin: float = 0.005
    bends: bool = True
    bend_factor: float = 3.0


class AdaptiveEncoder:
    def __init__(self, s: Settings, width: int, height: int):
        self.s = s
        self.scene = Scene(Geometry(width, height, max(1, (s.classes - 1).bit_length()), 0))
        self.measure = Measure(s.classes)
        self.worth = s.worth
        self.unit = 0
        self.motion: dict[int, Point] = {}
        self.stats = dict(key=0, move=0, end=0)

    def encode(self, maps: Sequence[Labels]):
        s = self.s
        truth = maps[-1]
        if s.void is not None:
            maps = [np.where(m == s.void, s.classes, m).astype(np.uint8) for m in maps]
            truth = maps[-1]
        if not self.scene.tracks and self.unit == 0:
            b = np.bincount(truth.reshape(-1), minlength=s.classes + 1)[: s.classes]
            g = self.scene.geometry
            self.scene.geometry = Geometry(g.width, g.height, g.class_bits, int(b.argmax()))
        self.first, self.n = maps[0], len(maps)
        self.fm = (self.n - 1) // 2
        self.mid = maps[self.fm]
        records = self.plan(truth)
        told = self.scene.apply(records)
        c = np.zeros((s.classes, s.classes), np.int64)
        for f, m in enumerate(maps):
            c += counts(m, self.draw(f, len(maps)), s.classes)
        self.measure.add(c)
        short = s.floor + s.margin - self.measure.miou
        self.worth = float(np.clip(self.worth * np.exp(np.clip(s.gain_up * short, -0.5, 0.5)), 300, 1e6))
        self.unit += 1
        return records

    def draw(self, f, n):
        sc = self.scene
        out = np.full((sc.geometry.height, sc.geometry.width), sc.geometry.ground, np.uint8)
        for label, p in sc.polygons(f, n):
            cv2.fillPoly(out, [p], label)
        return out

    def gains(self, truth, canvas, label, box):
        x0, y0, x1, y1 = box
        T, C = truth[y0:y1, x0:x1], canvas[y0:y1, x0:x1]
        g = self.table[label].take(T * np.uint16(self.s.classes) + C)
        return Gains.of(g, x0, y0)

    def box(self, p, m=MARGIN):
        g = self.scene.geometry
        x0, y0 = np.maximum(p.min(axis=0) - m, 0).tolist()
        x1, y1 = (p.max(axis=0) + m + 1).tolist()
        return x0, y0, max(min(x1, g.width), x0 + 1), max(min(y1, g.height), y0 + 1)

    def plan(self, truth):
        s, sc, g = self.s, self.scene, self.scene.geometry
        e = self.measure.errors(truth)
        self.table = [np.ascontiguousarray((e - e[:, [c]]).reshape(-1)) for c in range(s.classes)]
        self.errs = e
        canvas = np.full(truth.shape, g.ground, np.uint8)
        records = []
        self.mcanvas = mcanvas = canvas.copy()
        for n in sc.painted():
            tr = sc.tracks[n]
            rec, pts = self.update(n, tr, truth, canvas)
            rec = self.bend(n, tr, rec, mcanvas)
            if rec is not None:
                records.append(rec)
            if pts is not None:
                cv2.fillPoly(canvas, [pts], tr.label if not isinstance(rec, Key) else rec.label)
        records += self.births(truth, canvas)
        self.last_canvas = canvas
        for r in records:
            self.stats['key' if isinstance(r, Key) else 'move' if isinstance(r, Move) else 'end'] += 1
        return sorted(records, key=lambda r: r.track)

    def update(self, n, tr, truth, canvas):
        s = self.s
        if tr.points[:, 0].max() < 0 or tr.points[:, 1].max() < 0 or tr.points[:, 0].min() >= truth.shape[1] or tr.points[:, 1].min() >= truth.shape[0]:
            return End(n, tr.generation), None
        G = self.gains(truth, canvas, tr.label, self.box(tr.points))
        w = self.worth * s.delta_factor
        hold = G.painted(tr.points) * w
        best, rec, pts = hold, None, tr.points
        if -8 > hold:
            best, rec, pts = -8.0, End(n, tr.generation), None
        # delta
        motion, zoom = self.search(n, tr, G)
        base = moved(tr, motion, zoom)
        score, move, p = self.delta(n, tr, G, base, motion, zoom, w)
        if score > best + 1:
            best, rec, pts = score, move, p
        due = (self.unit - n) % s.refresh == 0
        kb = (best - 0) if rec is None else best
        key = None
        if due or (isinstance(rec, Move) and len(rec.shifts) > len(tr.key) // 2):
            key = self.rekey(n, tr, G, truth, canvas, pts if pts is not None else tr.points, motion)
        if key is not None:
            kscore, krec, kp = key
            if due and rec.__class__ is not End:
                if kscore > -8: return krec, kp
                return End(n, tr.generation), None
            if kscore > best:
                return krec, kp
        if isinstance(rec, Move):
            self.motion[n] = (rec.motion[0], rec.motion[1], rec.zoom)
        return rec, pts

    def search(self, n, tr, G):
        m = self.motion.get(n, (0, 0, 0)); v = getattr(self, 'vel', {}).get(n, (0, 0))
        c = np.array([m], np.int32)
        tx, ty, z = m
        best = None
        for step, zs in ((4, 2), (1, 1)):
            offs = np.array([(a * step, b * step, k * zs) for k in (-1, 0, 1) for a in (-2, -1, 0, 1, 2) for b in (-2, -1, 0, 1, 2)], np.int32)
            cand = np.array((tx, ty, z)) + offs
            cand[:, 2] = np.clip(cand[:, 2], -MAX_ZOOM, MAX_ZOOM)
            key = tr.key
            mid = (key.min(axis=0) + key.max(axis=0)) // 2
            polys = key[None] + cand[:, None, :2] + ((((key - mid)[None] * cand[:, 2, None, None]) + 32) >> 6)
            sc = G.polygon(polys, 10) * self.worth - 0.4 * np.abs(cand - np.array((tx, ty, z))).sum(axis=1)
            tx, ty, z = cand[int(sc.argmax())].tolist()
        return (tx, ty), z

    def delta(self, n, tr, G, base, motion, zoom, w):
        mb = 5 + 2 * sum(np.log2(1 + abs(v)) for v in (*motion, zoom))
        plain = G.painted(base) * w - mb
        if len(base) < 3 or w < 0:
            return plain, Move(n, tr.generation, motion, zoom), base
        prev = np.rint((tr.points - base) / tr.grid).astype(np.int32)
        prev = np.clip(prev, -6, 6)
        states = np.concatenate((np.zeros((len(base), 1, 2), np.int32), prev[:, None] + fit.NEIGHBOURS[None]), axis=1)
        bits = 4.0 + 1.6 * np.log2(1 + np.abs(states)).sum(axis=2).astype(np.float32)
        bits[(states == 0).all(axis=2)] = 0.7
        chosen, score = fit.refine(base, states * tr.grid, bits.astype(np.float32), G, w)
        sh = states[np.arange(len(base)), chosen]
        shifts = tuple((i, int(x), int(y)) for i, (x, y) in enumerate(sh) if x or y)
        pts = moved(tr, motion, zoom, shifts)
        score = G.painted(pts) * w - mb - float(bits[np.arange(len(base)), chosen].sum())
        if score <= plain:
            return plain, Move(n, tr.generation, motion, zoom), base
        return score, Move(n, tr.generation, motion, zoom, (0, 0), shifts), pts

    def rekey(self, n, tr, G, truth, canvas, pts, motion):
        x0, y0, x1, y1 = self.box(pts, 8)
        label = tr.label
        T, C = truth[y0:y1, x0:x1], canvas[y0:y1, x0:x1]
        mask = (T == label).astype(np.uint8)
        if s_close := self.s.closing:
            mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((s_close, s_close), np.uint8))
        poly = np.zeros_like(mask)
        cv2.fillPoly(poly, [pts - (x0, y0)], 1)
        near = cv2.dilate(poly, np.ones((9, 9), np.uint8))
        mask &= near
        cs = contours(mask)
        best = None
        if cs:
            c = max(cs, key=lambda q: abs(area2(q)))
            best = self.fresh(n, tr, label, c + np.array((x0, y0), np.int32), G)
        alt = self.fresh(n, tr, label, pts, G)
        if best is None or (alt is not None and alt[0] > best[0]):
            best = alt
        if best is None:
            return None
        score, rec, p = best
        rec = Key(rec.track, rec.generation, rec.label, rec.grid, rec.points, self.inunit(label, p, False)[0])
        self.motion[n] = (0, 0, 0)
        return score, rec, p

    def fresh(self, n, tr, label, contour, G, most=40):
        g = self.scene.geometry
        best = None
        for gi in self.s.grids:
            grid = GRIDS[gi]
            cand = fit.candidates(contour, grid, (g.width - 1, g.height - 1), most)
            cand = np.clip(cand, 0, (g.width - 1, g.height - 1)).astype(np.int32)
            if len(cand) < 3:
                continue
            if area2(cand) < 0:
                cand = cand[::-1]
            poly, score = fit.polygon(cand, G, grid, self.worth * self.s.key_factor)
            if len(poly) < 2:
                continue
            poly = clockwise(poly)
            pts = [(-(-x // grid), -(-y // grid)) for x, y in poly.tolist()]
            pts = tuple(p for i, p in enumerate(pts) if i == 0 or p != pts[i - 1])
            rec = Key(n, next_generation(tr), label, gi, pts)
            at = begin(rec, g).points
            bits = 14 + np.log2(g.width / grid) + np.log2(g.height / grid) + float(fit.side_bits(at[:-1], at[1:], grid).sum())
            score = G.painted(at) * self.worth * self.s.key_factor - bits
            if best is None or score > best[0]:
                best = score, rec, at
        return best

    def births(self, truth, canvas):
        s, sc = self.s, self.scene
        todo = []
        k = np.ones((s.closing, s.closing), np.uint8)
        err = self.errs.reshape(-1).take(truth * np.uint16(s.classes) + canvas)
        for c in range(s.classes):
            mask = ((truth == c) & (canvas != c)).astype(np.uint8)
            if not mask.any():
                continue
            if s.closing:
                mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, k)
            for q in contours(mask):
                a = abs(area2(q)) / 2
                if a < 6:
                    continue
                todo.append((a, c, q))
        todo.sort(key=lambda t: -t[0])
        out = []
        free = iter(n for n in range(MAX_TRACKS) if n not in sc.tracks)
        for a, c, q in todo:
            if len(out) > 200:
                break
            if a * self.errs[:-1].max() * self.worth * s.key_factor < 30:
                continue
            G = self.gains(truth, canvas, c, self.box(q, 6))
            f = self.fresh(-1, None, c, q, G)
            if f is None or f[0] < 0:
                continue
            n = next(free)
            r = f[1]
            mo, late = self.inunit(c, f[2], True)
            r = Key(n, r.generation, r.label, r.grid, r.points, mo, (0, 0), late)
            r = self.bend(n, None, r, self.mcanvas)
            cv2.fillPoly(canvas, [f[2]], c)
            self.motion[n] = (0, 0, 0)
            out.append(r)
        return out

    def inunit(self, label, pts, birth):
        if self.n < 2:
            return (0, 0), False
        x0, y0, x1, y1 = self.box(pts, 24)
        T = self.first[y0:y1, x0:x1]
        g = np.where(T == label, np.float32(1), np.float32(-1))
        if self.s.void is not None:
            g[T == self.s.classes] = 0
        G = Gains.of(g, x0, y0)
        tx = ty = 0
        for step in (6, 2, 1):
            offs = np.array([(tx + a * step, ty + b * step) for a in (-2, -1, 0, 1, 2) for b in (-2, -1, 0, 1, 2)], np.int32)
            sc = G.polygon(pts[None] + offs[:, None], 12) - 0.02 * np.abs(offs).sum(axis=1) * len(pts)
            tx, ty = offs[int(sc.argmax())].tolist()
        z = G.painted(pts)
        m = G.painted(pts + np.array((tx, ty), np.int32))
        if birth and max(z, m) < 0:
            return (0, 0), True
        if m < z + 4:
            return (0, 0), False
        k = self.n / (self.n - 1)
        return (round(-tx * k), round(-ty * k)), False

    def bend(self, n, tr, rec, mcanvas):
        """Chooses bend for record, paints mid canvas."""
        if self.n < 2:
            return rec
        sc = Scene(self.scene.geometry, {n: tr} if tr else {})
        sc.apply([rec] if rec is not None else [])
        ps = sc.polygons(self.fm, self.n)
        if not ps:
            return rec
        label, p = ps[0]
        if rec is not None and not isinstance(rec, End) and self.s.bends:
            G = self.gains(self.mid, mcanvas, label, self.box(p, 8))
            tx = ty = 0
            w = self.worth * self.s.bend_factor
            for step in (3, 1):
                offs = np.array([(tx + a * step, ty + b * step) for a in (-1, 0, 1) for b in (-1, 0, 1)], np.int32)
                s = G.polygon(p[None] + offs[:, None], 12) * w - 3 * np.log2(1 + np.abs(offs)).sum(axis=1)
                tx, ty = offs[int(s.argmax())].tolist()
            q = p + np.array((tx, ty), np.int32)
            if (tx or ty) and G.painted(q) * w - 6 > G.painted(p) * w:
                rec = replace(rec, bend=(tx, ty))
                p = q
        cv2.fillPoly(mcanvas, [p], label)
        return rec
