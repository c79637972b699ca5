"""Volumes to pictures, with NumPy alone."""

import functools
import math

import numpy as np

AZIMUTH, ELEVATION = math.radians(35), math.radians(25)  # from the front, a little from the right and from above
REACH = 0.76  # half of a picture, in sides of the volume: it all fits in
LIGHT = (0.62, 1.0, 0.8)  # of faces across the depth (what looks to the front), the rows (up) and the columns (right)
COLOR, BACKGROUND = np.array([90, 140, 200], np.float32), 245
FADE = 0.35  # how much darker the farthest corner is than the nearest
CHUNK = 2**25  # voxels looked at once


def rendered(volumes: np.ndarray, side: int = 0) -> np.ndarray:
  """Volumes [N, D, H, W, 1] -> pictures uint8 [N, side, side, 3], shaded by face and by distance, without perspective.

  Depth goes away from the viewer, rows go down, columns to the right, as in a stack of images. Occupied is what is above
  0 (of floats, in [-1, 1]) or above 127 (of uint8). All sides are the same. `side`: 0 takes 96 pixels, 128 for volumes
  of more than 32 voxels.
  """
  if volumes.ndim != 5 or len(set(volumes.shape[1:4])) != 1 or volumes.shape[4] != 1:
    raise ValueError(f'volumes: given {list(volumes.shape)}, valid: [N, D, D, D, 1]')
  count, n = volumes.shape[:2]
  side = side or (96 if n <= 32 else 128)
  occupied = (volumes[..., 0] > (127 if volumes.dtype == np.uint8 else 0)).reshape(count, -1)
  occupied = np.concatenate([occupied, np.zeros((count, 1), bool)], 1)  # what lies outside is empty
  index, shades = looked_at(n, side)
  each = max(1, CHUNK // index.size)
  return np.concatenate([shown(occupied[i : i + each], index, shades, side) for i in range(0, count, each)])


def shown(occupied: np.ndarray, index: np.ndarray, shades: np.ndarray, side: int) -> np.ndarray:
  """What rays that go through the voxels `index` [P, T] see first of volumes [N, V]: uint8 [N, side, side, 3]."""
  hits = occupied[:, index]  # [N, P, T]
  first = hits.argmax(2)
  rays = np.arange(len(index))
  light = shades[rays, first]  # [N, P]
  hit = np.take_along_axis(hits, first[..., None], 2)
  image = np.where(hit, np.minimum(light[..., None] * COLOR * 1.25, 255), BACKGROUND)
  return image.astype(np.uint8).reshape(-1, side, side, 3)


@functools.lru_cache(4)
def looked_at(n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
  """The voxels that the ray of each pixel goes through, and how light each would be: int32, float32 [side**2, T].

  Voxels of an n x n x n volume have their flat number, and n**3 is outside.
  """
  sa, ca, se, ce = math.sin(AZIMUTH), math.cos(AZIMUTH), math.sin(ELEVATION), math.cos(ELEVATION)
  # As (depth, row, column): where rays go, and what is right and down in the picture.
  axes = ([ca * ce, se, -sa * ce], [sa, 0, ca], [-ca * se, ce, sa * se])
  along, right, down = (np.array(axis, np.float32) for axis in axes)
  across = ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) * REACH * n
  start = (n / 2 + across[None, :, None] * right + across[:, None, None] * down).reshape(-1, 3)  # [P, 3]
  # A ray changes voxels where it crosses a plane: of the three axes in turn, in the order of its way.
  planes = np.arange(n + 1, dtype=np.float32)
  crossings = ((planes - start[..., None]) / along[:, None]).reshape(len(start), -1)  # [P, 3 (n + 1)]
  order = crossings.argsort(1)
  t = np.take_along_axis(crossings, order, 1)
  middle = (t[:, :-1] + t[:, 1:]) / 2
  voxel = np.floor(start[:, None] + middle[..., None] * along).astype(np.int32)
  inside = ((voxel >= 0) & (voxel < n)).all(-1)
  index = np.where(inside, (voxel[..., 0] * n + voxel[..., 1]) * n + voxel[..., 2], n**3)
  far = n * math.sqrt(3) / 2
  light = np.asarray(LIGHT, np.float32)[order[:, :-1] // (n + 1)] * (1 - FADE * (middle + far) / (2 * far))
  return index, light
