from django.db import migrations

from webapp.core.tenancy import Screened


class Migration(migrations.Migration):
    """Whoever is screened off a matter sees no weights that learned from it, nor an adapter that has no others."""

    dependencies = [
        ("adapters", "0001_initial"),
        ("training", "0002_screens"),
    ]
    operations = [
        migrations.RunSQL(
            sql="""
            CREATE FUNCTION housestyle_screened_adapters() RETURNS SETOF uuid
            LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE ROWS 10 SET search_path = public, pg_temp AS
            $$
            DECLARE screened uuid[] := ARRAY(SELECT housestyle_screened_datasets());
            BEGIN
              IF screened = '{}' THEN
                RETURN;
              END IF;
              RETURN QUERY
                SELECT v.adapter_id FROM adapters_adapterversion v
                JOIN training_trainingrun r ON r.id = v.run_id
                WHERE v.tenant_id = housestyle_tenant()
                GROUP BY v.adapter_id HAVING bool_and(r.dataset_id = ANY (screened));
            END
            $$
            """,
            reverse_sql="DROP FUNCTION housestyle_screened_adapters()",
        ),
        Screened("adapters_adapter", "id NOT IN (SELECT housestyle_screened_adapters())"),
        Screened(
            "adapters_adapterversion",
            "EXISTS (SELECT FROM training_trainingrun seen WHERE seen.id = run_id)",
        ),
        Screened(
            "adapters_approval",
            "EXISTS (SELECT FROM adapters_adapterversion seen WHERE seen.id = version_id)",
        ),
    ]
