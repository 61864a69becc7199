"""Lineage of a task for OpenLineage: extracts with their columns and rows, and ECDP with the orders that it accepted.

Nothing here is called unless OpenLineage's provider is installed and asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_provider_ecdp.assets.ecdp import SCHEME
from airflow_provider_ecdp.by_id.settings import Operation
from airflow_provider_ecdp.orders.contract import ORDER

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_ecdp.orders.sources.base import Source


@dataclass(slots=True)
class Lineage:
    """The data that a task has read and written, noted while it runs.

    :param inputs: the extracts that were opened, with the URIs of their files
    :param target: the URI of ECDP's orders, None before the connection was read
    :param summary: of the run, None where it had none
    :param outlets: of the task, where they were taken from it since nothing has changed in them
    """

    inputs: list[tuple[list[str], Source]] = field(default_factory=list)
    target: str | None = None
    summary: Mapping[str, Any] | None = None
    outlets: list[object] = field(default_factory=list)

    def as_openlineage(self, outlets: Iterable[object]) -> OperatorLineage[Any, Any]:
        """Return inputs and outputs with their facets.

        :param outlets: those of the DAG; those of ECDP replace the connection's
        """
        from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415  # it may be absent

        declared = [outlet.uri for outlet in self.outlets or outlets if isinstance(outlet, Asset)]
        ours = [uri for uri in declared if uri.startswith(f"{SCHEME}://")]
        if not ours and self.target:
            ours = [self.target]
        if self.summary is not None and self.summary.get("operation") == Operation.GET:
            # reading changes nothing: ECDP is an input
            read = [dataset for uri in ours if (dataset := _dataset(uri, {})) is not None]
            return OperatorLineage(inputs=read, outputs=[])
        outputs = [*ours, *(uri for uri in declared if uri not in ours)]
        return OperatorLineage(
            inputs=[dataset for uris, source in self.inputs for dataset in self._input(uris, source)],
            outputs=[dataset for uri in outputs if (dataset := _dataset(uri, self._written(uri, ours))) is not None],
        )

    def _input(self, uris: list[str], source: Source) -> Iterable[Any]:
        from openlineage.client.facet_v2 import input_statistics_input_dataset  # noqa: PLC0415

        columns = _schema((column.name, str(column.type)) for column in source.schema)
        facets: dict[str, Any] = {"facets": {"schema": columns}}
        # the rows of several paths have one count, not one for each path
        if source.rows is not None and len(uris) == 1:
            count = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=source.rows)
            facets["inputFacets"] = {"inputStatistics": count}
        for uri in uris:
            dataset = _dataset(uri, facets)
            if dataset is not None:
                yield dataset

    def _written(self, uri: str, ours: list[str]) -> dict[str, Any]:
        from openlineage.client.facet_v2 import output_statistics_output_dataset  # noqa: PLC0415  # as above

        if uri not in ours:
            return {}
        facets: dict[str, Any] = {"facets": {"schema": _schema((field.name, field.kind.value) for field in ORDER)}}
        if self.summary is not None:
            written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=self.summary["accepted"], size=self.summary["bytes"]
            )
            facets["outputFacets"] = {"outputStatistics": written}
        return facets


def _schema(columns: Iterable[tuple[str, str]]) -> Any:
    from openlineage.client.facet_v2 import schema_dataset  # noqa: PLC0415  # as above

    fields = [schema_dataset.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in columns]
    return schema_dataset.SchemaDatasetFacet(fields=fields)


def _dataset(uri: str, facets: Mapping[str, Any]) -> Any:
    """Return the dataset of a URI, None where no provider knows the scheme."""
    from airflow.providers.openlineage.extractors.manager import ExtractorManager  # noqa: PLC0415  # as above
    from airflow.providers.openlineage.utils.utils import translate_airflow_asset  # noqa: PLC0415  # as above
    from openlineage.client.event_v2 import InputDataset, OutputDataset  # noqa: PLC0415  # as above

    named = translate_airflow_asset(Asset(uri=uri), None)
    named = named or ExtractorManager.convert_to_ol_dataset_from_object_storage_uri(uri)
    if named is None:
        return None
    kind = OutputDataset if "outputFacets" in facets else InputDataset if "inputFacets" in facets else type(named)
    return kind(namespace=named.namespace, name=named.name, **facets)
