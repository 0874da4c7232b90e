"""Tables for other programs: CSV and Parquet, of our tables and of the vertices of surfaces."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from surfora.geometry.surface import SurfaceMesh
from tomocore.columns import NAMES
from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.side_files import read_frame

TABLE_ENDINGS = (".csv", ".parquet")


def read_any_table(path: Path) -> pd.DataFrame:
    """A table of CSV, such as ``surfaces.csv``; only empty cells are missing. InputError where it is none."""
    names = dict.fromkeys(NAMES, str)  # a label may be called 01 or NA
    return read_frame(
        path, lambda file: pd.read_csv(file, dtype=names, keep_default_na=False, na_values=[""]), "give a CSV"
    )


def vertex_table(mesh: SurfaceMesh) -> pd.DataFrame:
    """A row a vertex: place in nm, normal, and all arrays, those of vectors as ``_x``, ``_y``, ``_z``."""
    columns = {f"{axis}_nm": mesh.vertices[:, k] for k, axis in enumerate("xyz")}
    vectors = {} if mesh.normals is None else {"normal": mesh.normals}
    for name, values in (*vectors.items(), *mesh.data.items()):
        if values.ndim == 1:
            columns[name] = values
        else:
            parts = "xyz" if values.shape[1] == 3 else range(values.shape[1])
            columns |= {f"{name}_{part}": values[:, k] for k, part in enumerate(parts)}
    return pd.DataFrame(columns)


def write_table(path: Path, table: pd.DataFrame, separator: str = ",", index: bool = False) -> None:
    """Write CSV or Parquet by the name's ending; ``separator`` and whether rows are numbered are for CSV."""
    with written_beside(path) as beside:
        if path.suffix == ".parquet":
            table.to_parquet(beside, index=False)
        elif path.suffix == ".csv":
            table.to_csv(beside, sep=separator, index=index, float_format="%.8g")
        else:
            raise InputError(f"{path}: tables are written as .csv and .parquet")
