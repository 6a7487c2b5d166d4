"""What happens on the table: objects drop, are thrown in and pushed, by PyBullet at a fixed step."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

import numpy as np
import pybullet
from numpy.random import Generator
from numpy.typing import NDArray

from common.training.tabletop.model import Model
from common.training.tabletop.rays import Pose
from common.training.tabletop.settings import STEPS_A_SECOND

_WALL, _WALL_HEIGHT = 0.40, 0.16  # metres: what keeps things from rolling away stands outside the picture
_GRAVITY = 9.81

# The gripper's way past its target: seconds since its start, metres along its arm and height of its fingers.
_WAY = np.array(
    [
        (0.0, -0.85, 0.26),
        (0.8, -0.14, 0.18),
        (1.1, -0.11, 0.004),
        (2.2, 0.1, 0.004),
        (2.5, 0.07, 0.18),
        (3.4, -0.85, 0.26),
    ]
)
PUSH_SECONDS = float(_WAY[-1, 0])


@dataclass(frozen=True, slots=True)
class Entry:
    """How and when an object comes: lying or falling at the start (time 0), or thrown in later."""

    time: float
    position: tuple[float, float, float]
    turn: tuple[float, float, float, float]
    velocity: tuple[float, float, float]
    spin: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Push:
    """A push of the object `target`: by nothing that is seen, for a tenth of a second, or by the gripper."""

    time: float
    target: int
    by_gripper: bool
    angle: float
    """Direction on the table, radians."""
    speed: float
    """Metres a second that an unseen push gives."""


class World:
    """A simulation of some models; the last one is the gripper when `gripper` says so. Close it after use."""

    def __init__(self, models: list[Model], entries: list[Entry], pushes: list[Push], gripper: bool) -> None:
        self._models, self._entries = models, entries
        self._pushes = sorted(pushes, key=lambda push: push.time)
        self._client = pybullet.connect(pybullet.DIRECT)
        self._bodies: list[int | None] = [None] * len(models)
        self._step, self._constraint = 0, -1
        self._active: tuple[Push, NDArray[np.float64]] | None = None
        self._has_gripper = gripper
        c = self._client
        pybullet.setGravity(0, 0, -_GRAVITY, physicsClientId=c)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=1 / STEPS_A_SECOND,
            numSolverIterations=60,
            deterministicOverlappingPairs=1,
            physicsClientId=c,
        )
        self._static((2.0, 2.0, 0.25), (0, 0, -0.25))
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            half = (0.05 if x else 0.6, 0.05 if y else 0.6, _WALL_HEIGHT / 2)
            self._static(half, ((_WALL + 0.05) * x, (_WALL + 0.05) * y, _WALL_HEIGHT / 2))
        if gripper:
            self._add_gripper()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pybullet.disconnect(self._client)

    def settle(self, seconds: float) -> None:
        """Let what is there from the start fall before time begins to count."""
        self._admit()
        for _ in range(round(seconds * STEPS_A_SECOND)):
            pybullet.stepSimulation(physicsClientId=self._client)

    def advance(self, seconds: float) -> None:
        """Go on by a time that is a whole number of steps."""
        for _ in range(round(seconds * STEPS_A_SECOND)):
            self._admit()
            self._push()
            pybullet.stepSimulation(physicsClientId=self._client)
            self._step += 1

    def poses(self) -> list[Pose | None]:
        """Where each model is now; None before it has come, and for a gripper that rests outside the picture."""
        found: list[Pose | None] = []
        for number, body in enumerate(self._bodies):
            resting = self._has_gripper and number == len(self._bodies) - 1 and self._active is None
            found.append(None if body is None or resting else self._pose(body))
        return found

    def speeds(self) -> list[float]:
        """Metres a second of each object that is there, the gripper left out."""
        bodies = self._bodies[:-1] if self._has_gripper else self._bodies
        there = [body for body in bodies if body is not None]
        found = [pybullet.getBaseVelocity(body, physicsClientId=self._client)[0] for body in there]
        return [float(np.linalg.norm(velocity)) for velocity in found]

    def _pose(self, body: int) -> Pose:
        place, turn = pybullet.getBasePositionAndOrientation(body, physicsClientId=self._client)
        return np.array(pybullet.getMatrixFromQuaternion(turn)).reshape(3, 3), np.array(place)

    def _static(self, half: tuple[float, float, float], place: tuple[float, float, float]) -> None:
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=half, physicsClientId=self._client
        )
        body = pybullet.createMultiBody(0, shape, basePosition=place, physicsClientId=self._client)
        pybullet.changeDynamics(body, -1, lateralFriction=0.9, restitution=0.6, physicsClientId=self._client)

    def _add(self, model: Model, entry: Entry) -> int:
        kinds = {
            "box": pybullet.GEOM_BOX,
            "sphere": pybullet.GEOM_SPHERE,
            "cylinder": pybullet.GEOM_CYLINDER,
            "capsule": pybullet.GEOM_CAPSULE,
        }
        c, solids = self._client, model.solids
        shape = pybullet.createCollisionShapeArray(
            shapeTypes=[kinds[solid.kind] for solid in solids],
            halfExtents=[solid.size if solid.kind == "box" else (0, 0, 0) for solid in solids],
            radii=[0.0 if solid.kind == "box" else solid.size[0] for solid in solids],
            lengths=[solid.size[1] for solid in solids],
            collisionFramePositions=[solid.position for solid in solids],
            collisionFrameOrientations=[solid.turn for solid in solids],
            physicsClientId=c,
        )
        body = int(
            pybullet.createMultiBody(
                model.mass,
                shape,
                basePosition=entry.position,
                baseOrientation=entry.turn,
                physicsClientId=c,
            )
        )
        pybullet.changeDynamics(
            body,
            -1,
            lateralFriction=model.friction,
            rollingFriction=model.rolling,
            spinningFriction=0.001,
            restitution=model.bounce,
            angularDamping=0.25,
            linearDamping=0.05,
            physicsClientId=c,
        )
        pybullet.resetBaseVelocity(body, entry.velocity, entry.spin, physicsClientId=c)
        return body

    def _add_gripper(self) -> None:
        away = (-3.0, 0.0, 0.3)
        body = self._add(self._models[-1], Entry(0, away, (0, 0, 0, 1), (0, 0, 0), (0, 0, 0)))
        self._bodies[-1] = body
        for static in range(5):
            pybullet.setCollisionFilterPair(body, static, -1, -1, 0, physicsClientId=self._client)
        self._constraint = pybullet.createConstraint(
            body, -1, -1, -1, pybullet.JOINT_FIXED, (0, 0, 0), (0, 0, 0), away, physicsClientId=self._client
        )

    def _admit(self) -> None:
        now = self._step / STEPS_A_SECOND
        for number, entry in enumerate(self._entries):
            if self._bodies[number] is None and entry.time <= now:
                self._bodies[number] = self._add(self._models[number], entry)

    def _push(self) -> None:
        now = self._step / STEPS_A_SECOND
        for push in self._pushes:
            body = self._bodies[push.target]
            if body is None:
                continue
            if push.by_gripper and push.time <= now < push.time + PUSH_SECONDS:
                self._grip(push, body, now - push.time)
            elif not push.by_gripper and push.time <= now < push.time + 0.1:
                mass = self._models[push.target].mass
                way = np.array([np.cos(push.angle), np.sin(push.angle), 0.25])
                place, _ = pybullet.getBasePositionAndOrientation(body, physicsClientId=self._client)
                force = way * (mass * push.speed / 0.1)
                pybullet.applyExternalForce(
                    body, -1, force.tolist(), place, pybullet.WORLD_FRAME, physicsClientId=self._client
                )
        if self._active is not None and now >= self._active[0].time + PUSH_SECONDS:
            self._active = None

    def _grip(self, push: Push, body: int, since: float) -> None:
        """Move the gripper on along its way, which is laid through where its target was at the start."""
        yaw = pybullet.getQuaternionFromEuler((0, 0, push.angle))
        fresh = self._active is None or self._active[0] is not push
        if fresh:
            target = np.array(pybullet.getBasePositionAndOrientation(body, physicsClientId=self._client)[0])
            self._active = (push, np.clip(target, -0.24, 0.24))
        assert self._active is not None
        leg = int(np.searchsorted(_WAY[:, 0], since, "right")) - 1
        share = (since - _WAY[leg, 0]) / (_WAY[leg + 1, 0] - _WAY[leg, 0])
        share = share * share * (3 - 2 * share)
        along, height = _WAY[leg, 1:] * (1 - share) + _WAY[leg + 1, 1:] * share
        x, y, _ = self._active[1]
        place = (x + along * np.cos(push.angle), y + along * np.sin(push.angle), height)
        if fresh:
            pybullet.resetBasePositionAndOrientation(
                self._bodies[-1], place, yaw, physicsClientId=self._client
            )
        pybullet.changeConstraint(self._constraint, place, yaw, maxForce=80, physicsClientId=self._client)


def entries(rng: Generator, models: list[Model], seconds: float) -> list[Entry]:
    """Where objects come from: most are above the table at the start, apart from each other; the rest fly in."""
    found: list[Entry] = []
    placed: list[tuple[NDArray[np.float64], float]] = []
    for model in models:
        turn = rng.normal(size=4)
        turn /= np.linalg.norm(turn)
        if rng.random() < 0.6:  # as people put things down
            half = rng.uniform(0, np.pi)
            turn = np.array([0, 0, np.sin(half), np.cos(half)])
        q = (float(turn[0]), float(turn[1]), float(turn[2]), float(turn[3]))
        spin = tuple(float(s) for s in rng.normal(size=3) * 3)
        if placed and rng.random() < 0.25:
            angle = rng.uniform(0, 2 * np.pi)
            speed = rng.uniform(1.0, 1.6)
            start = (0.56 * np.cos(angle), 0.56 * np.sin(angle), rng.uniform(0.28, 0.4))
            aim = angle + rng.uniform(-0.3, 0.3)
            velocity = (-speed * np.cos(aim), -speed * np.sin(aim), rng.uniform(0.0, 0.6))
            found.append(
                Entry(rng.uniform(0.1, 0.8) * seconds, start, q, velocity, (spin[0], spin[1], spin[2]))
            )
            continue
        radius, floor = model.radius, 0.004
        place = np.zeros(3)
        for attempt in range(200):
            xy = rng.uniform(-0.23, 0.23, 2)
            place = np.array([*xy, radius + floor + 0.003 * attempt])
            if all(np.linalg.norm(place - other) > radius + reach for other, reach in placed):
                break
        placed.append((place, radius))
        found.append(Entry(0.0, (place[0], place[1], place[2]), q, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
    return found


def pushes(rng: Generator, count: int, seconds: float, gripper: bool) -> list[Push]:
    """A push every second or two; those by the gripper do not overlap."""
    found, time, free = [], rng.uniform(0.2, 1.2), 0.0
    while time < seconds:
        by_gripper = gripper and time >= free and time + 1.0 < seconds and rng.random() < 0.6
        if by_gripper:
            free = time + PUSH_SECONDS + 0.1
        angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.0)
        found.append(Push(time, int(rng.integers(count)), by_gripper, angle, speed))
        time += rng.uniform(0.6, 2.0)
    return found
