"""What the pages share: access, router, frame, forms, charts and the job panel."""
