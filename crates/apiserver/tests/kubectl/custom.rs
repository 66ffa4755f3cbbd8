//! Kinds made at run time.

use super::{Kubectl, each};

const CRD: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, shortNames: [bo], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.oars, statusReplicasPath: .status.oars}
    additionalPrinterColumns:
    - {name: Sails, type: integer, jsonPath: .spec.sails}
    - {name: Port, type: string, jsonPath: .spec.port, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What the boat is to be.
            required: [sails]
            properties:
              sails: {type: integer, minimum: 1, maximum: 9}
              oars: {type: integer}
              port: {type: string, default: Luebeck, enum: [Luebeck, Bergen]}
              cargo: {type: object, x-kubernetes-preserve-unknown-fields: true}
              crew:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, rank: {type: string}}
          status:
            type: object
            properties:
              oars: {type: integer}
              conditions: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const BOAT: &str = "
apiVersion: example.com/v1
kind: Boat
metadata: {name: kogge}
spec: {sails: 1, cargo: {salt: {tons: 3}}, crew: [{name: ada, rank: captain}]}
";

fn defined(it: &Kubectl) {
    it.apply(CRD, &[]);
    it.ok(&["wait", "--for=condition=Established", "crd/boats.example.com", "--timeout=60s"]);
}

#[test]
fn a_custom_kind_is_used_like_any_other() {
    each(|it| {
        defined(it);
        it.shows(&["get", "crd"], &["boats.example.com Namespaced v1(storage)"]);
        it.apply(BOAT, &[]);
        assert_eq!(it.apply(BOAT, &[]), "boat.example.com/kogge unchanged\n");
        it.shows(&["get", "bo"], &["NAME SAILS", "kogge 1"]);
        it.shows(&["get", "boats", "-o", "wide"], &["NAME SAILS PORT", "kogge 1 Luebeck"]);
        it.shows(&["get", "all"], &["boat.example.com/kogge"]);
        it.shows(&["describe", "boat", "kogge"], &["Name: kogge", "Port: Luebeck", "Tons: 3"]);
        it.shows(&["explain", "boat.spec"], &["KIND: Boat", "What the boat is to be.", "sails"]);
        it.shows(
            &["api-resources", "--api-group=example.com"],
            &["boats bo example.com/v1 true Boat"],
        );
        it.ok(&["scale", "boat", "kogge", "--replicas=12"]);
        it.says(&["get", "boat", "kogge", "-o", "jsonpath={.spec.oars}"], "12");
        let status = r#"{"status":{"conditions":[{"type":"Afloat","status":"True"}]}}"#;
        it.ok(&["patch", "boat", "kogge", "--subresource=status", "--type=merge", "-p", status]);
        it.ok(&["wait", "--for=condition=Afloat", "boat/kogge", "--timeout=60s"]);
        appliers_share_a_list(it);
        it.ok(&["delete", "crd", "boats.example.com"]);
        // kubectl may remember the kind; the server does not.
        let path = "/apis/example.com/v1/namespaces/default/boats";
        it.refuses(&["get", "--raw", path], "", &["NotFound"]);
    });
}

/// Each owns its entries of a list with keys, and not those of the other.
fn appliers_share_a_list(it: &Kubectl) {
    let ssa = |manager, crew| {
        let boat = format!(
            "{{apiVersion: example.com/v1, kind: Boat, metadata: {{name: shared}}, \
             spec: {{sails: 1, crew: {crew}}}}}"
        );
        it.apply(&boat, &["--server-side", "--field-manager", manager]);
        it.ok(&["get", "boat", "shared", "-o", "jsonpath={.spec.crew[*].name}"])
    };
    assert_eq!(ssa("one", "[{name: ada}]"), "ada");
    assert_eq!(ssa("two", "[{name: bob}]"), "ada bob");
    assert_eq!(ssa("one", "[]"), "bob");
}

#[test]
fn a_custom_object_is_pruned_defaulted_and_checked() {
    each(|it| {
        defined(it);
        let unknown = BOAT.replace("sails: 1,", "sails: 1, wings: 2,");
        it.refuses(&["apply", "-f", "-"], &unknown, &["unknown field \"spec.wings\""]);
        let said = it.run(&["apply", "--validate=warn", "-f", "-"], &unknown);
        assert!(said.err.contains("Warning: unknown field \"spec.wings\""), "{}", said.err);
        it.feed(&["apply", "--validate=false", "-f", "-"], &unknown);
        let spec = it.ok(&[
            "get",
            "boat",
            "kogge",
            "-o",
            "jsonpath={.spec.wings}{.spec.port} {.spec.cargo.salt.tons}",
        ]);
        assert_eq!(spec, "Luebeck 3");
        for (from, to, said) in [
            (
                "sails: 1",
                "sails: 10",
                "spec.sails: Invalid value: 10: spec.sails in body should be less than or equal to 9",
            ),
            (
                "sails: 1",
                "sails: many",
                "spec.sails: Invalid value: \"string\": spec.sails in body must be of type integer: \"string\"",
            ),
            ("sails: 1,", "", "spec.sails: Required value"),
            (
                "sails: 1",
                "sails: 1, port: Hull",
                "spec.port: Unsupported value: \"Hull\": supported values: \"Luebeck\", \"Bergen\"",
            ),
        ] {
            let bad = BOAT.replace(from, to).replace("kogge", "other");
            it.refuses(&["create", "-f", "-"], &bad, &["is invalid", said]);
        }
        let twice = BOAT.replace("[{name", "[{name: ada}, {name");
        it.refuses(&["apply", "--server-side", "-f", "-"], &twice, &["crew"]);
        it.says(&["get", "boat", "-o", "name"], "boat.example.com/kogge");
    });
}

#[test]
fn a_definition_that_cannot_work_is_refused() {
    each(|it| {
        for (from, to, texts) in [
            (
                "boats.example.com}",
                "ships.example.com}",
                &["metadata.name", "must be spec.names.plural+"][..],
            ),
            (
                "type: object\n        properties:\n          spec:",
                "properties:\n          spec:",
                &["type: Required value"],
            ),
            ("storage: true", "storage: false", &["storage"]),
            ("scope: Namespaced", "scope: Everywhere", &["spec.scope", "Unsupported value"]),
        ] {
            it.refuses(&["create", "-f", "-"], &CRD.replace(from, to), texts);
        }
        it.says(&["get", "crd", "-o", "name"], "");
    });
}
