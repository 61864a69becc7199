"""What an order is: from columns of an extract to checked, encoded JSON. Knows neither Airflow nor HTTP."""
