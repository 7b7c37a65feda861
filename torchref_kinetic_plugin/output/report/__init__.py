"""The report: one HTML page of a refinement, for people."""

from torchref_kinetic_plugin.output.report.building import REPORT, report_html, write_report
from torchref_kinetic_plugin.output.report.material import (
    ReportMaterial,
    material_of,
    read_material,
    write_sections_for_report,
)

__all__ = [
    "REPORT",
    "ReportMaterial",
    "material_of",
    "read_material",
    "report_html",
    "write_report",
    "write_sections_for_report",
]
