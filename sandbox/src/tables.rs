//! Tables, as `kubectl get` asks for them: the columns of each kind and the frame.
//!
//! Owns which columns a kind has (k8s.io/kubernetes `pkg/printers/internalversion`); those that a
//! definition adds are [`defined`]'s. A kind without an entry has no table; clients then print what
//! they know.

use jiff::Timestamp;
use serde_json::{Value, json};

use self::cells::{
    Cell, access_modes, active, age, completions, containers, count, created, duration, external,
    hosts, images, job_status, last_schedule, max, min, node_status, number, pairs, plain,
    pod_ready, pod_restarts, pod_status, ports, ready, reference, role, selector, service_type,
    subjects, suspended, targets, text, unset,
};
pub(crate) use self::defined::{PrinterColumn, printer_columns};
use crate::resources::{Resource, Version};

mod cells;
mod defined;

/// A column.
pub(crate) struct Column<'a> {
    name: &'a str,
    ty: &'a str,
    format: &'a str,
    /// Above zero it is for wide output only.
    priority: i64,
    cell: From<'a>,
}

/// Where a cell comes from.
enum From<'a> {
    Code(Cell, &'static str),
    Definition(&'a PrinterColumn),
}

type Row = (&'static str, &'static str, i64, Cell, &'static str);

const AGE: Row = ("Age", "string", 0, age, "");
const CREATED: Row = ("Created At", "date", 0, created, "");
const CONTAINERS: Row = ("Containers", "string", 1, containers, "");
const IMAGES: Row = ("Images", "string", 1, images, "");
const SELECTOR: Row = ("Selector", "string", 1, selector, "/spec/selector");

const NODES: &[Row] = &[
    ("Status", "string", 0, node_status, ""),
    ("Roles", "string", 0, role, ""),
    AGE,
    (
        "Version",
        "string",
        0,
        text,
        "/status/nodeInfo/kubeletVersion",
    ),
];
const CLAIMS: &[Row] = &[
    ("Status", "string", 0, plain, "/status/phase"),
    ("Volume", "string", 0, plain, "/spec/volumeName"),
    ("Capacity", "string", 0, plain, "/status/capacity/storage"),
    ("Access Modes", "string", 0, access_modes, ""),
    ("StorageClass", "string", 0, plain, "/spec/storageClassName"),
    (
        "VolumeAttributesClass",
        "string",
        0,
        unset,
        "/spec/volumeAttributesClassName",
    ),
    AGE,
    ("VolumeMode", "string", 1, plain, "/spec/volumeMode"),
];
const SERVICES: &[Row] = &[
    ("Type", "string", 0, service_type, ""),
    ("Cluster-IP", "string", 0, text, "/spec/clusterIP"),
    ("External-IP", "string", 0, external, "service"),
    ("Port(s)", "string", 0, ports, "service"),
    AGE,
    ("Selector", "string", 1, pairs, "/spec/selector"),
];
const PODS: &[Row] = &[
    ("Ready", "string", 0, pod_ready, ""),
    ("Status", "string", 0, pod_status, ""),
    ("Restarts", "string", 0, pod_restarts, ""),
    AGE,
    ("IP", "string", 1, text, "/status/podIP"),
    ("Node", "string", 1, text, "/spec/nodeName"),
    (
        "Nominated Node",
        "string",
        1,
        text,
        "/status/nominatedNodeName",
    ),
    ("Readiness Gates", "string", 1, text, "/none"),
];
const CRON_JOBS: &[Row] = &[
    ("Schedule", "string", 0, text, "/spec/schedule"),
    ("Timezone", "string", 0, text, "/spec/timeZone"),
    ("Suspend", "boolean", 0, suspended, ""),
    ("Active", "integer", 0, active, ""),
    ("Last Schedule", "string", 0, last_schedule, ""),
    AGE,
    ("Containers", "string", 1, containers, "jobTemplate"),
    ("Images", "string", 1, images, "jobTemplate"),
    ("Selector", "string", 1, text, "/none"),
];
const DAEMON_SETS: &[Row] = &[
    (
        "Desired",
        "integer",
        0,
        number,
        "/status/desiredNumberScheduled",
    ),
    (
        "Current",
        "integer",
        0,
        number,
        "/status/currentNumberScheduled",
    ),
    ("Ready", "integer", 0, number, "/status/numberReady"),
    (
        "Up-to-date",
        "integer",
        0,
        number,
        "/status/updatedNumberScheduled",
    ),
    ("Available", "integer", 0, number, "/status/numberAvailable"),
    (
        "Node Selector",
        "string",
        0,
        pairs,
        "/spec/template/spec/nodeSelector",
    ),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

/// The columns between the name and the rest.
fn own(id: &str) -> Option<&'static [Row]> {
    let rows: &'static [Row] = match id {
        "configmaps" => &[("Data", "string", 0, count, "/data /binaryData"), AGE],
        "secrets" => &[
            ("Type", "string", 0, text, "/type"),
            ("Data", "string", 0, count, "/data"),
            AGE,
        ],
        "namespaces" => &[("Status", "string", 0, text, "/status/phase"), AGE],
        "serviceaccounts" => &[AGE],
        "services" => SERVICES,
        "pods" => PODS,
        "nodes" => NODES,
        "cronjobs.batch" => CRON_JOBS,
        "ingresses.networking.k8s.io" => &[
            ("Class", "string", 0, text, "/spec/ingressClassName"),
            ("Hosts", "string", 0, hosts, ""),
            ("Address", "string", 0, external, "ingress"),
            ("Ports", "string", 0, ports, "ingress"),
            AGE,
        ],
        "horizontalpodautoscalers.autoscaling" => &[
            ("Reference", "string", 0, reference, "/spec/scaleTargetRef"),
            ("Targets", "string", 0, targets, ""),
            ("MinPods", "string", 0, text, "/spec/minReplicas"),
            ("MaxPods", "string", 0, number, "/spec/maxReplicas"),
            ("Replicas", "string", 0, number, "/status/currentReplicas"),
            AGE,
        ],
        "poddisruptionbudgets.policy" => &[
            ("Min Available", "string", 0, min, ""),
            ("Max Unavailable", "string", 0, max, ""),
            (
                "Allowed Disruptions",
                "integer",
                0,
                number,
                "/status/disruptionsAllowed",
            ),
            AGE,
        ],
        "networkpolicies.networking.k8s.io" => &[
            ("Pod-Selector", "string", 0, selector, "/spec/podSelector"),
            AGE,
        ],
        "roles.rbac.authorization.k8s.io"
        | "clusterroles.rbac.authorization.k8s.io"
        | "limitranges"
        | "customresourcedefinitions.apiextensions.k8s.io" => &[CREATED],
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => &[
            ("Role", "string", 0, reference, "/roleRef"),
            AGE,
            ("Users", "string", 1, subjects, "User"),
            ("Groups", "string", 1, subjects, "Group"),
            ("ServiceAccounts", "string", 1, subjects, "ServiceAccount"),
        ],
        "persistentvolumeclaims" => CLAIMS,
        _ => return workloads(id),
    };
    Some(rows)
}

fn workloads(id: &str) -> Option<&'static [Row]> {
    let rows: &'static [Row] = match id {
        "replicasets.apps" => &[
            ("Desired", "integer", 0, number, "/spec/replicas"),
            ("Current", "integer", 0, number, "/status/replicas"),
            ("Ready", "integer", 0, number, "/status/readyReplicas"),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        "deployments.apps" => &[
            ("Ready", "string", 0, ready, ""),
            ("Up-to-date", "string", 0, number, "/status/updatedReplicas"),
            (
                "Available",
                "string",
                0,
                number,
                "/status/availableReplicas",
            ),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        "statefulsets.apps" => &[("Ready", "string", 0, ready, ""), AGE, CONTAINERS, IMAGES],
        "daemonsets.apps" => DAEMON_SETS,
        "jobs.batch" => &[
            ("Status", "string", 0, job_status, ""),
            ("Completions", "string", 0, completions, ""),
            ("Duration", "string", 0, duration, ""),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        _ => return None,
    };
    Some(rows)
}

/// The columns of a kind; none if it has no table.
pub(crate) fn columns<'a>(resource: &Resource, version: &'a Version) -> Option<Vec<Column<'a>>> {
    let mut columns = vec![Column {
        name: "Name",
        ty: "string",
        format: "name",
        priority: 0,
        cell: From::Code(text, "/metadata/name"),
    }];
    if resource.custom {
        columns.extend(version.columns.iter().map(|column| Column {
            name: &column.name,
            ty: &column.ty,
            format: &column.format,
            priority: column.priority,
            cell: From::Definition(column),
        }));
        return Some(columns);
    }
    let own = own(&resource.id)?.iter();
    columns.extend(own.map(|&(name, ty, priority, cell, of)| Column {
        name,
        ty,
        format: "",
        priority,
        cell: From::Code(cell, of),
    }));
    Some(columns)
}

/// The heads of columns.
pub(crate) fn heads(columns: &[Column<'_>]) -> Value {
    let heads = columns.iter().map(|column| {
        json!({
            "name": column.name, "type": column.ty, "format": column.format, "description": "",
            "priority": column.priority,
        })
    });
    heads.collect()
}

/// The cells of one object.
pub(crate) fn cells(columns: &[Column<'_>], object: &Value, now: Timestamp) -> Value {
    let cells = columns.iter().map(|column| match &column.cell {
        From::Code(cell, of) => cell(object, of, now),
        From::Definition(column) => column.cell(object, now),
    });
    cells.collect()
}
